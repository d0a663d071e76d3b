"""What is in a data set, beside what is published, with every problem in one list."""

from dataclasses import dataclass

from pipelines.records import DatasetSplits


@dataclass(frozen=True)
class Report:
    """The outcome of `check_data`."""

    problems: tuple[str, ...]


def check_data(splits: DatasetSplits, check_images: bool = True, progress=None) -> Report:
    """Counts images and gathers every problem; progress(done, total, seconds)."""
    raise NotImplementedError


def format_report(report: Report) -> str:
    """The report as an aligned text table."""
    raise NotImplementedError
