"""What the pre-trainings of an experiment learnt, on people held out: order, parts, and the matching."""

import json

from experiments.paired import mean_and_deviation
from mmgl_tf.pipelines.records import MODALITIES

# Title -> (names in a row of metrics.jsonl, shown one after the other; factor).
FIGURES = {
    "whole order right, visible / infrared %": ("validation/accuracy/permutation_whole", 100.0),
    "stripes right %": ("validation/accuracy/permutation_stripe", 100.0),
    "parts named right %": ("validation/accuracy/part", 100.0),
    "part mass": ("matching/part_mass", 1.0),
    "slot mass": ("matching/slot_mass", 1.0),
    "identity lift": ("matching/identity_lift", 1.0),
}


def pretext_rows(experiment, cells):
    """Rows of the table, one for each arm that is pre-trained and finished.

    Args:
        experiment: `experiments.cell.Experiment`.
        cells: its `experiments.cell.Cell`s.

    Returns:
        (header, rows), lists of texts; no rows where nothing is pre-trained yet. Means over seeds, with the
        standard deviation where there are several.
    """
    rows = []
    for arm in experiment.arms:
        own = [cell for cell in cells if cell.arm.name == arm.name and len(cell.stages) == 3]
        found = [last for cell in own if (last := _last_row(cell.stages[0].directory))]
        if found:
            rows.append([arm.name, *(_text(found, name, factor) for name, factor in FIGURES.values())])
    return ["pre-training, people held out", *FIGURES], rows


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
        stages = [cell.stages[0] for cell in cells if cell.arm.name == arm.name and len(cell.stages) == 3]
        directories = [stage.directory for stage in stages if stage.directory not in seen]
        seen.update(directories)  # arms may share a pre-training
        found = [last for directory in directories if (last := _last_row(directory))]
        if not found:
            continue
        shown = [f for f in _figures(directories) if f["held_out"] or f["name"].startswith("projection/")]
        for figure in shown:
            prefix = "validation/" if figure["held_out"] else ""
            names = [f"{prefix}{figure['name']}{suffix}" for suffix in ("_visible", "_infrared")]
            names = [n for n in names if any(n in row for row in found)] or [figure["name"]]
            factor = 100.0 if figure["axis"] == "share" else 1.0
            text = " / ".join(filter(None, (_mean_text(found, name, factor) for name in names)))
            chance = "" if figure["chance"] is None else f"{factor * figure['chance']:.1f}"
            if text:
                rows.append([arm.name, figure["title"], text, chance])
    return ["pre-training", "on people held out", "visible / infrared", "chance"], rows


def methods_differ(experiment):
    """Whether the arms are pre-trained by more than one method."""
    return len({arm.pretrain.get("method", "") for arm in experiment.arms if arm.pretrain is not None}) > 1


def _figures(directories):
    """What the figures of a run are called: its figures.json, as dicts."""
    for directory in directories:
        try:
            return json.loads((directory / "figures.json").read_text())
        except FileNotFoundError:
            continue
    return []


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


def _last_row(directory):
    try:
        return json.loads((directory / "summary.json").read_text()).get("last")
    except FileNotFoundError:
        return None


def _text(rows, name, factor):
    names = [name] if name.startswith("matching/") else [f"{name}_{modality}" for modality in MODALITIES]
    parts = []
    for full in names:
        text = _mean_text(rows, full, factor)
        if text:
            parts.append(text)
    return " / ".join(parts)


def _mean_text(rows, name, factor):
    """Mean and deviation of a figure over seeds; "" where no row has it."""
    values = [factor * row[name] for row in rows if name in row]
    if not values:
        return ""
    digits = 1 if factor > 1 else 2
    measured = mean_and_deviation(values)
    deviation = "" if measured.deviation is None else f" ± {measured.deviation:.{digits}f}"
    return f"{measured.mean:.{digits}f}{deviation}"
