"""What the pre-trainings of an experiment learnt, on people held out: the figures of their methods."""

import json

from experiments.paired import mean_and_deviation
from mmgl_tf.figures import FILE, from_json
from mmgl_tf.pipelines.records import MODALITIES

BY_ARM = "pre-training, people held out, visible / infrared"
BY_FIGURE = ["pre-training", "on people held out", "visible / infrared", "chance"]


def pretext_rows(experiment, cells):
    """Rows of the table, one for each arm that is pre-trained and finished.

    Args:
        experiment: `experiments.cell.Experiment`.
        cells: its `experiments.cell.Cell`s.

    Returns:
        (header, rows), lists of texts, a column for each figure that some arm has; no rows where nothing is
        pre-trained yet. Means over seeds, with the standard deviation where there are several.
    """
    columns, found = {}, {}
    for arm in experiment.arms:
        directories = _directories(cells, arm)
        if rows := last_rows(directories):
            texts = {figure.name: _text(rows, figure) for figure in _told(directories)}
            found[arm.name] = {name: text for name, text in texts.items() if text}
            columns |= {f.name: _title(f) for f in _told(directories) if f.name in found[arm.name]}
    rows = [[arm, *(texts.get(name, "") for name in columns)] for arm, texts in found.items() if texts]
    return [BY_ARM, *columns.values()], rows


def pretext_by_method(experiment, cells):
    """The same where arms are pre-trained by different methods: a row for each figure of each of them.

    Failed pre-trainings are shown too, with the figures that they ended with.

    Args:
        experiment, cells: as in `pretext_rows`.

    Returns:
        (header, rows), lists of texts.
    """
    rows, seen = [], set()
    for arm in experiment.arms:
        directories = [directory for directory in _directories(cells, arm) if directory not in seen]
        seen.update(directories)  # arms may share a pre-training
        found = last_rows(directories)
        for figure in _told(directories) if found else ():
            blind = figure.chance_on_held_out()
            chance = "" if blind is None else _number(figure, blind)
            if text := _text(found, figure):
                rows.append([arm.name, _title(figure), text, chance])
    return BY_FIGURE, rows


def methods_differ(experiment):
    """Whether the arms are pre-trained by more than one method."""
    return len({arm.pretrain.get("method", "") for arm in experiment.arms if arm.pretrain is not None}) > 1


def _directories(cells, arm):
    """Those of an arm's pre-trainings, of all seeds."""
    return [cell.stages[0].directory for cell in cells if cell.arm.name == arm.name and len(cell.stages) == 3]


def _told(directories):
    """The figures of some runs of one method that tables tell."""
    for directory in directories:
        if figures := figures_of(directory):
            return [figure for figure in figures if figure.summary and figure.of_fixed_images]
    return []


def figures_of(directory):
    """What a run's figures are called, tuple of `mmgl_tf.figures.Figure`; () where it is not known."""
    try:
        return from_json((directory / FILE).read_text())
    except FileNotFoundError:
        # For a run of an earlier version alone: it takes TensorFlow.
        from mmgl_tf.modes.saved_run import run_figures

        try:
            return run_figures(directory)
        except ValueError:
            return ()


def closing_words(cells):
    """What the pre-trainings of the first seed said when they ended.

    Accuracies and losses beside chance, seconds, images a second, and where the pictures are.

    Args:
        cells: `experiments.cell.Cell`s of one experiment.

    Returns:
        list of texts, one for each finished pre-training.
    """
    own = [cell for cell in cells if cell.seed == cells[0].seed and len(cell.stages) == 3]
    directories = dict.fromkeys(cell.stages[0].directory for cell in own)  # arms may share a pre-training
    paths = [directory / "summary.txt" for directory in directories]
    return [f"{path.parent}\n{path.read_text()}" for path in paths if path.exists()]


def last_rows(directories):
    """The figures that runs ended with, of those that left some."""
    found = []
    for directory in directories:
        try:
            found.append(json.loads((directory / "summary.json").read_text()).get("last"))
        except FileNotFoundError:
            continue
    return [row for row in found if row]


def _title(figure):
    return f"{figure.title} %" if figure.axis == "share" else figure.title


def _text(rows, figure):
    """Mean and deviation over seeds, each modality apart, then of both; "" where no row has it."""
    names = {}
    for row in rows:
        names |= figure.names_in(row, figure.prefix)
    texts = {whose: _mean_text(rows, name, figure) for whose, name in names.items()}
    both = texts.pop("", "")
    apart = " / ".join(texts[whose] for whose in MODALITIES if whose in texts)
    return f"{apart}, both {both}" if apart and both else apart or both


def _mean_text(rows, name, figure):
    measured = mean_and_deviation(row[name] for row in rows if name in row)
    deviation = "" if measured.deviation is None else f" ± {_number(figure, measured.deviation)}"
    return f"{_number(figure, measured.mean)}{deviation}"


def _number(figure, value):
    """A share in per cent with one decimal, anything else with two."""
    return f"{100.0 * value:.1f}" if figure.axis == "share" else f"{value:.2f}"
