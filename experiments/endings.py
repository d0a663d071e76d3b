"""What the fine-tunings of an experiment ended with, by figures of their last epoch that it asks for."""

from experiments.paired import mean_and_deviation
from experiments.pretext import figures_of, last_rows

FIRST = "fine-tuning, last epoch, batches of training"


def ending_rows(experiment, cells):
    """Rows of the table, one for each arm that has finished a fine-tuning.

    Args:
        experiment: `experiments.cell.Experiment`; its `endings` are the columns.
        cells: its `experiments.cell.Cell`s.

    Returns:
        (header, rows), lists of texts; no rows where nothing is asked for or finished. Means over seeds, with
        the standard deviation where there are several.
    """
    titles, found = {}, {}
    for arm in experiment.arms:
        own = [cell.stages[-2].directory for cell in cells if cell.arm == arm and len(cell.stages) > 1]
        if rows := last_rows(own):
            ended = [directory for directory in own if (directory / "summary.json").exists()]
            known = {figure.name: figure for directory in ended for figure in figures_of(directory)}
            asked = [known[name] for name in experiment.endings if name in known]
            found[arm.name] = {figure.name: _text(rows, figure) for figure in asked}
            titles |= {f.name: f"{f.title} %" if f.axis == "share" else f.title for f in asked}
    columns = [name for name in experiment.endings if name in titles]
    rows = [[arm, *(texts.get(name, "") for name in columns)] for arm, texts in found.items() if texts]
    return [FIRST, *(titles[name] for name in columns)], rows


def _text(rows, figure):
    measured = mean_and_deviation(row[figure.name] for row in rows if figure.name in row)
    if measured is None:
        return ""
    deviation = "" if measured.deviation is None else f" ± {_number(figure, measured.deviation)}"
    return f"{_number(figure, measured.mean)}{deviation}"


def _number(figure, value):
    """A share in per cent, anything else with three digits: a spread may be 0.0006."""
    return f"{100.0 * value:.1f}" if figure.axis == "share" else f"{value:.3g}"
