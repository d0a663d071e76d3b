"""Which rows of the global batches this process makes, where several replicas train on one batch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shards:
    """The replicas that this process feeds: numbers first, ..., first + local - 1 of all `total`.

    The index plan, and with it the run, does not know how many replicas there are: the global batch of a
    step has B images per modality, of which replica r gets rows [r * b, (r + 1) * b) of each modality, b =
    B / total. A row is drawn, read and augmented by its place in the global batch, and only where it is
    asked for. So the replicas' parts, put together, are the whole batch bit for bit, and a process does
    its share of the work.

    A dataset of parts hands them out as (first batch, first replica), (first batch, second replica), ...,
    (second batch, first replica), ...: the order in which
    `tf.distribute.Strategy.distribute_datasets_from_function` deals elements to the local replicas.

    Attributes:
        first: number of the first replica fed here, from 0.
        local: replicas fed here, at least 1.
        total: replicas of all processes together.

    Raises:
        ValueError: the replicas are not among those in total.
    """

    first: int = 0
    local: int = 1
    total: int = 1

    def __post_init__(self):
        if self.first < 0 or self.local < 1 or self.first + self.local > self.total:
            raise ValueError(
                f"first={self.first}, local={self.local}, total={self.total}; expected first >= 0, "
                "local >= 1 and first + local <= total. Pass this process's replicas and the number of all."
            )

    def rows_per_replica(self, batch_size: int, setting: str = "--batch_size") -> int:
        """Images per modality in a replica's part of a batch.

        Args:
            batch_size: images per modality in the global batch, B.
            setting: what the user sets it with, for the error.

        Returns:
            b = B / total.

        Raises:
            ValueError: `total` does not divide B.
        """
        rows, rest = divmod(batch_size, self.total)
        if rest:
            fitting = [size * self.total for size in (rows, rows + 1) if size]
            raise ValueError(
                f"{self.total} replicas cannot share a batch of {batch_size} images per modality evenly; "
                f"expected a multiple of {self.total}. Set {setting} to {' or '.join(map(str, fitting))}, "
                "or train on fewer GPUs or workers (--strategy=none is one device)."
            )
        return rows

    def part(self, number: int, batch_size: int) -> tuple[int, range]:
        """What an element of a dataset of parts shows.

        Args:
            number: of the element, from 0 at the first batch of the run.
            batch_size: images per modality in the global batch, B.

        Returns:
            (number of the batch, its rows): the rows of each modality, of 0 to B - 1.
        """
        batch, replica = divmod(int(number), self.local)
        rows = self.rows_per_replica(batch_size)
        start = (self.first + replica) * rows
        return batch, range(start, start + rows)


WHOLE = Shards()
