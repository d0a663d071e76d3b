"""--mode=check_data: what is in a data set, and what is wrong with it."""

from modes.console import ProgressLine


def check_data(config):
    """Print counts beside the published ones and every problem found.

    Returns:
        Exit status: 0 where all is well, 1 where there are problems.
    """
    from pipelines import DATASETS
    from pipelines.check_data import check_data as check
    from pipelines.check_data import format_report

    splits = DATASETS[config.data.dataset](config.data, config.world)
    with ProgressLine("images read", "images") as progress:
        report = check(splits, check_images=True, progress=progress)
    print(format_report(report))
    return 1 if report.problems else 0
