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
        values = [factor * row[full] for row in rows if full in row]
        if values:
            digits = 1 if factor > 1 else 2
            measured = mean_and_deviation(values)
            deviation = "" if measured.deviation is None else f" ± {measured.deviation:.{digits}f}"
            parts.append(f"{measured.mean:.{digits}f}{deviation}")
    return " / ".join(parts)
