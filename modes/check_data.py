"""--mode=check_data: what is in a data set, and what is wrong with it."""

from mmgl_tf.modes.console import ProgressLine
from mmgl_tf.modes.reading import read_splits
from mmgl_tf.pipelines.readers.check_data import check_data as check
from mmgl_tf.pipelines.readers.check_data import format_report


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
