"""The table of what fine-tunings ended with."""

import json

from experiments.cell import Arm, Experiment, cells_of
from experiments.endings import FIRST, ending_rows
from experiments.pretext import figures_of
from mmgl_tf.figures import HAS_NONE, Figure, as_json

FIGURES = (
    Figure("loss/triplet", "triplet loss", HAS_NONE),
    Figure("accuracy/triplet", "nearer", HAS_NONE, "share"),
    Figure("embedding/spread", "spread", HAS_NONE, summary=False),
)
ASKED = ("embedding/spread", "accuracy/triplet")
EXPERIMENT = Experiment("", (Arm("plain"), Arm("MMGL", {}), Arm("HOG", untrained="hog")), endings=ASKED)


def end(cell, **last):
    directory = cell.stages[-2].directory
    directory.mkdir(parents=True)
    (directory / "figures.json").write_text(as_json(FIGURES))
    names = {figure.name.replace("/", "_"): figure.name for figure in FIGURES}
    row = {names[name]: value for name, value in last.items()}
    (directory / "summary.json").write_text(json.dumps({"last": row}))


def only_of_ended(real):
    """`figures_of`, which takes TensorFlow for a run that has left nothing."""

    def checked(directory):
        assert (directory / "summary.json").exists()
        return real(directory)

    return checked


def test_what_is_asked_for_is_a_column_each_in_that_order(tmp_path, monkeypatch):
    cells = cells_of(EXPERIMENT, range(2), "demo", {}, tmp_path)
    monkeypatch.setattr("experiments.endings.figures_of", only_of_ended(figures_of))
    assert ending_rows(EXPERIMENT, cells) == ([FIRST], [])
    end(cells[0], embedding_spread=0.00061, accuracy_triplet=0.0013, loss_triplet=0.36)
    (mmgl, _) = [cell for cell in cells if cell.arm.name == "MMGL"]
    end(mmgl, accuracy_triplet=0.5)
    assert ending_rows(EXPERIMENT, cells) == (
        [FIRST, "spread", "nearer %"],
        [["plain", "0.00061", "0.1"], ["MMGL", "", "50.0"]],
    )


def test_seeds_are_averaged_and_nothing_is_shown_where_nothing_is_asked(tmp_path):
    cells = cells_of(EXPERIMENT, range(2), "demo", {}, tmp_path)
    for cell, spread in zip([cell for cell in cells if cell.arm.name == "plain"], (0.2, 0.4), strict=True):
        end(cell, embedding_spread=spread, accuracy_triplet=0.5)
    assert ending_rows(EXPERIMENT, cells)[1] == [["plain", "0.3 ± 0.141", "50.0 ± 0.0"]]
    assert ending_rows(Experiment("", EXPERIMENT.arms), cells)[1] == []
