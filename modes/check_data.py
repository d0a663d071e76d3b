"""--mode=check_data: what is in a data set, and what is wrong with it."""

from modes.console import ProgressLine
from modes.reading import read_splits
from pipelines.check_data import check_data as check
from pipelines.check_data import format_report


def check_data(config):
    """Print counts beside the published ones and every problem found.

    Returns:
        Exit status: 0 where all is well, 1 where there are problems.
    """
    splits = read_splits(config)
    with ProgressLine("images read", "images") as progress:
        report = check(splits, check_images=True, progress=progress)
    print(format_report(report))
    return 1 if report.problems else 0
