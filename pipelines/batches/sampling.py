"""Index plans: which images meet in which step of an epoch. NumPy only; no image is read here."""

import numpy as np

from mmgl_tf.pipelines.random_plan import Stream, shuffles
from mmgl_tf.pipelines.records import MODALITIES


def steps_in_epoch(
    num_visible: int | None, num_infrared: int | None, batch_size: int, epoch_by: str = "max"
) -> int:
    """Full batches in one pass over the larger (`max`) or smaller (`min`) modality; the rest is dropped.

    Args:
        num_visible: visible images; None = the method shows none, so that none are missed.
        num_infrared: infrared images, likewise.
        batch_size: images per modality in a batch.
        epoch_by: "max" or "min".

    Returns:
        Steps, at least 1. SYSU-MM01's 22,258 visible images in batches of 48 make 463.

    Raises:
        ValueError: a modality has fewer images than a batch, or `epoch_by` is unknown.
    """
    numbers = [number for number in (num_visible, num_infrared) if number is not None]
    for name, number in zip(MODALITIES, (num_visible, num_infrared), strict=True):
        if number is None:
            continue
        if number == 0:
            needed = "both modalities" if len(numbers) > 1 else "them"
            raise ValueError(
                f"There are no {name} images to train on; pre-training needs {needed}. "
                "`python main.py --mode=check_data` shows what was found where."
            )
        if number < batch_size:
            raise ValueError(
                f"The batch needs {batch_size} {name} images, but there are only {number}. "
                f"Lower --batch_size to at most {min(numbers)}, or add {name} images."
            )
    if epoch_by not in ("max", "min"):
        raise ValueError(f"epoch_by is {epoch_by!r}; expected 'max' or 'min'.")
    return (max if epoch_by == "max" else min)(numbers) // batch_size


def pretraining_plan(
    num_visible: int | None,
    num_infrared: int | None,
    batch_size: int,
    seed: int,
    epoch: int,
    epoch_by: str = "max",
    steps_per_epoch: int = 0,
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The images of every step of one epoch, without labels: a shuffle of each modality on its own.

    A modality that is used up starts again in a new order, so that within an epoch the images of a
    modality differ by at most one in how often they occur. A visible and an infrared image become a pair
    by their place in the batch alone: MMGL knows no identities.

    Args:
        num_visible: visible images; None = the method shows none.
        num_infrared: infrared images, likewise.
        batch_size: images per modality in a batch, B.
        seed: the run's seed.
        epoch: epoch number from 0.
        epoch_by: "max" or "min", see `steps_in_epoch`.
        steps_per_epoch: length of the epoch; 0 = one pass by `epoch_by`. Longer than a pass is allowed.

    Returns:
        (visible, infrared): int64 [steps, B] each, indices from 0; None where none are shown.

    Raises:
        ValueError: as `steps_in_epoch`, or a negative `steps_per_epoch`.
    """
    one_pass = steps_in_epoch(num_visible, num_infrared, batch_size, epoch_by)
    if steps_per_epoch < 0:
        raise ValueError(f"steps_per_epoch is {steps_per_epoch}; expected 0 (one pass) or more.")
    steps = steps_per_epoch or one_pass
    return tuple(
        None
        if number is None
        else _cycled_shuffle(number, steps * batch_size, seed, stream, epoch).reshape(steps, batch_size)
        for number, stream in ((num_visible, Stream.VISIBLE_ORDER), (num_infrared, Stream.INFRARED_ORDER))
    )


def _cycled_shuffle(number, length, seed, stream, epoch):
    passes = -(-length // number)
    return shuffles(seed, stream, epoch, passes, number).reshape(-1)[:length]


def evenly_spread(number: int, limit: int) -> np.ndarray:
    """A fixed subset that covers a list evenly: for probes and short validations, without a draw.

    Lists are sorted by camera and identity, so the first `limit` images would show few of either.

    Args:
        number: length of the list.
        limit: entries wanted; 0, or more than there are, gives all.

    Returns:
        int64 indices, ascending and distinct.
    """
    if limit <= 0 or limit >= number:
        return np.arange(number)
    return np.arange(limit) * number // limit
