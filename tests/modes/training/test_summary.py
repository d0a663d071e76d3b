"""The tables at a run's end tell every figure that its method reports, and say which ones they leave out."""

import json
from types import SimpleNamespace

import pytest

from mmgl_tf.figures import HAS_NONE, Figure
from mmgl_tf.finetuning.figures import SEARCH
from mmgl_tf.flags.config import options_type
from mmgl_tf.modes.model import METHODS
from mmgl_tf.modes.training.summary import summarise
from mmgl_tf.pretraining import PRETRAINING
from mmgl_tf.pretraining.monitor.probe import FIGURES as PROBED
from mmgl_tf.pretraining.monitor.probe import OF_BOTH
from mmgl_tf.run_directory import RunDirectory
from mmgl_tf.training.plan import TrainingPlan
from tests.modes.small_run import settings

ALWAYS = {
    "epoch": 1,
    "step": 8,
    "time/seconds": 2.0,
    "throughput/images_per_second": 9.0,
    "throughput/data_wait_share": 0.1,
}


@pytest.fixture
def summary(tmp_path):
    """Function (figures, first row, last row, who is held out) -> lines of summary.txt."""

    def make(figures, first, last, held_out=""):
        (tmp_path / "config.json").write_text("{}")
        run, plan = RunDirectory(tmp_path), SimpleNamespace(images_per_step=12)
        rows = [ALWAYS | first, ALWAYS | last]
        summarise(settings("pretrain"), plan, run, rows, SimpleNamespace(best_epoch=1), figures, held_out, [])
        assert json.loads((run.root / "summary.json").read_text())["last"] == rows[-1]
        return (run.root / "summary.txt").read_text().splitlines()

    return make


def figures_of(method):
    own = METHODS[method].figures(options_type(method)(), TrainingPlan(10, 10, 8, 5))
    return (*PROBED, *OF_BOTH, *own) if method in PRETRAINING else (*SEARCH, *own)


@pytest.mark.parametrize("method", METHODS)
def test_every_figure_is_told_unless_its_record_says_otherwise(method, summary, capsys):
    figures = figures_of(method)
    last = {f"{'validation/' if figure.source == 'search' else ''}{figure.name}": 0.125 for figure in figures}
    lines = summary(figures, {}, last)
    for figure in figures:
        told = [line for line in lines if line.startswith(f"{figure.title}  ")]
        value = "12.5%" if figure.axis == "share" else "0.125"
        assert len(told) == figure.summary and all(value in line for line in told), figure
    head = next(line for line in lines if line.endswith("chance"))
    ends = {
        line.rindex(value) + len(value) for value in ("12.5%", "0.125") for line in lines if value in line
    }
    assert ends == {head.index("last epoch") + len("last epoch")}, "columns stand below their heads"
    assert capsys.readouterr().out.strip() == "\n".join(lines).strip()


@pytest.mark.parametrize(
    ("method", "names"),
    [
        ("barlow_twins", ("correlation/on_diagonal", "correlation/off_diagonal", "correlation/agreement")),
        ("swav", ("prototypes/entropy", "prototypes/largest_share", "prototypes/queue")),
        ("byol", ("target/momentum", "projection/spread", "projection/effective_rank")),
        ("mmgl", ("projection/spread", "matching/part_mass", "matching/identity_lift")),
    ],
)
def test_what_shows_a_collapse_and_what_a_method_measures_is_in_the_summary(method, names):
    told = {figure.name for figure in figures_of(method) if figure.summary}
    assert set(names) <= told


def test_modalities_are_told_apart_and_together(summary):
    spread = Figure("projection/spread", "spread", HAS_NONE, source="probe")
    name = spread.name
    last = {name: 0.9, f"{name}_visible": 0.75, f"{name}_infrared": 0.5}
    lines = summary((spread,), {name: 0.25}, last)
    told = [line.split() for line in lines if line.startswith("spread")]
    assert told == [
        ["spread", "0.250", "0.900"],
        ["spread,", "visible", "0.750"],
        ["spread,", "infrared", "0.500"],
    ]


def test_an_accuracy_has_its_value_of_training_also_where_nobody_is_held_out(summary):
    right = Figure("accuracy/right", "put right", 0.5, "share", held_out=True)
    last = {"accuracy/right": 0.75, "validation/accuracy/right_visible": 0.625}
    lines = summary((right,), {"accuracy/right": 0.25}, last)
    assert [line.split()[2:] for line in lines if line.startswith("put right")] == [
        ["25.0%", "75.0%", "50.00%"]
    ]
    lines = summary((right,), {"accuracy/right": 0.25}, last, "identities never seen")
    assert [line.split()[2:] for line in lines if line.startswith("put right")] == [
        ["62.5%", "50.00%"],
        ["25.0%", "75.0%", "50.00%"],
    ]
