import warnings

import numpy as np
import pytest

from mmgl_tf.figures import OF_EVERY_RUN, Figure
from mmgl_tf.finetuning.figures import SEARCH, triplet_figures
from mmgl_tf.flags.config import options_type
from mmgl_tf.pretraining.mmgl_figures import mmgl_figures
from mmgl_tf.pretraining.monitor.probe import FIGURES as PROBED
from mmgl_tf.training.plan import TrainingPlan
from mmgl_tf.visualization import curves

PLAN = TrainingPlan(num_identities=10)
FIGURES = tuple(
    {
        figure.name: figure
        for figure in (
            *OF_EVERY_RUN,
            *triplet_figures(options_type("agw")(), PLAN),
            *SEARCH,
            *PROBED,
            *mmgl_figures(options_type("mmgl")(), PLAN),
        )
    }.values()
)


def draw(runs, figures=FIGURES):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return curves.training_curves(runs, figures)


def lines(runs, *names):
    return curves._lines(runs, [next(figure for figure in FIGURES if figure.name == name) for name in names])


def rows(epochs, keys=("loss/total", "loss/part", "accuracy/part")):
    return [{"epoch": e, "step": 10 * e} | dict.fromkeys(keys, 1.0 / (e + 1)) for e in range(epochs)]


ALL = [figure.name for figure in FIGURES]


def test_every_metric_has_a_panel_and_the_page_is_no_wider_than_1600():
    picture = draw(rows(3, ALL))
    assert picture.dtype == np.uint8
    assert picture.shape[1:] == (1600, 3)
    assert picture.shape[0] == 300 * -(-len(curves.panels_of(FIGURES)) // 4)


def test_panels_without_data_are_left_out():
    assert draw(rows(3, ["loss/total"])).shape == (300, 400, 3)
    assert draw(rows(3, ["loss/total", "time/seconds", "unknown/key"])).shape == (300, 400, 3)
    assert draw(rows(3, ALL[:5])).shape == (600, 1600, 3)


@pytest.mark.parametrize("epochs", [1, 2, 40])
def test_any_number_of_epochs(epochs):
    assert draw(rows(epochs)).shape == (300, 1200, 3)


def test_nan_infinity_and_null_are_drawn_without_warning_and_seen():
    good, bad, missing = rows(6), rows(6), rows(6)
    bad[2]["loss/total"] = float("nan")
    bad[3]["loss/total"] = float("inf")
    missing[2]["loss/total"] = None
    red = np.array([215, 48, 39])
    assert (draw(bad) == red).all(-1).any()
    assert not (draw(good) == red).all(-1).any()
    assert not (draw(missing) == red).all(-1).any()
    draw([{"epoch": 0, "loss/total": float("nan")}])


def test_chance_is_drawn_only_where_it_belongs(monkeypatch):
    seen = {}
    real = curves._draw

    def spy(axes, title, start, lines, chances, legend):
        real(axes, title, start, lines, chances, legend)
        seen[title] = [line.get_ydata()[0] for line in axes.get_lines() if line.get_linestyle() == ":"]

    monkeypatch.setattr(curves, "_draw", spy)
    known = (
        Figure("loss/total", "total loss", None),
        Figure("loss/part", "part loss", 1.79),
        Figure("loss/permutation", "order loss", 5.0),
        Figure("accuracy/part", "part right", None),
    )
    draw(rows(4), known)
    assert seen == {"Total loss": [], "Part loss": [1.79], "Part right": []}


@pytest.mark.parametrize(
    ("title", "heading"),
    [("total loss", "Total loss"), ("mAP on people", "mAP on people"), ("Rank-1", "Rank-1")],
)
def test_a_heading_has_a_capital_letter_and_names_keep_theirs(title, heading):
    assert curves._as_heading(title) == heading


def test_modalities_and_validation_join_their_panel():
    one = rows(4, ["accuracy/part"])
    more = [
        row
        | {
            f"validation/accuracy/part{suffix}": 0.1 * k
            for k, suffix in enumerate(("", "_visible", "_infrared"))
        }
        for row in one
    ]
    assert draw(more).shape == draw(one).shape
    names = [line[0] for line in lines({"run": more}, "accuracy/part")]
    assert names == ["training", "validation", "validation, visible", "validation, infrared"]


def test_several_runs_share_the_panels_and_are_told_apart():
    picture = draw({"a": rows(4), "b": rows(2, ["loss/total"])})
    assert picture.shape == (340, 1200, 3)
    drawn = lines({"a": rows(4), "b": rows(2)}, "loss/total")
    assert [line[0] for line in drawn] == ["a", "b"]
    assert drawn[0][1] != drawn[1][1]


def test_several_runs_show_validation_even_where_only_the_modalities_are_logged():
    one = [
        {"epoch": 1, "validation/accuracy/part_visible": 0.2, "validation/accuracy/part_infrared": 0.6},
        {"epoch": 2, "validation/accuracy/part_visible": 0.4},
    ]
    epochs, values = curves.validation_series(one, "accuracy/part")
    assert epochs.tolist() == [1]
    assert values.tolist() == pytest.approx([0.4])
    alone = [{"epoch": 1, "validation/accuracy/part_visible": 0.2}]  # of a method of visible images
    assert curves.validation_series(alone, "accuracy/part")[1].tolist() == [0.2]
    both = [row | {"validation/accuracy/part": 0.9} for row in one]
    assert curves.validation_series(both, "accuracy/part")[1].tolist() == [0.9, 0.9]
    drawn = lines({"a": one, "b": one}, "accuracy/part")
    assert [(line[0], line[2]) for line in drawn] == [("a", "--"), ("b", "--")]


@pytest.mark.parametrize("name", ["embedding/std", "projection/spread"])
def test_figures_of_each_modality_join_their_panel(name):
    one = rows(3, [name, f"{name}_visible", f"{name}_infrared"])
    assert draw(one).shape == (300, 400, 3)
    assert [line[0] for line in lines({"run": one}, name)] == ["both", "visible", "infrared"]
    assert [line[0] for line in lines({"run": rows(3, [name])}, name)] == ["measured"]


def test_the_later_row_of_a_repeated_epoch_counts():
    epochs, values = curves.series([{"epoch": 1, "x": 5}, {"epoch": 0, "x": 1}, {"epoch": 1, "x": 7}], "x")
    assert epochs.tolist() == [0, 1]
    assert values.tolist() == [1, 7]


@pytest.mark.parametrize("runs", [[], {}, {"a": []}, [{"epoch": 0}]])
def test_nothing_to_draw_is_an_error_that_helps(runs):
    with pytest.raises(ValueError, match="Has the first epoch ended"):
        draw(runs)


def test_a_fine_tuning_run_shows_all_it_logs():
    keys = [
        "loss/total",
        "loss/identity",
        "loss/triplet",
        "accuracy/identity",
        "accuracy/triplet",
        "embedding/spread",
        "embedding/modality_gap",
        "gradient/norm",
        "learning_rate",
        "validation/rank1",
        "validation/mAP",
        "validation/mINP",
    ]
    for key in keys:
        assert draw(rows(3, [key])).shape == (300, 400, 3), key
    assert draw(rows(3, keys)).shape == (900, 1600, 3)
    assert [line[0] for line in lines({"run": rows(3, keys)}, "rank1")] == ["validation"]


def test_the_legend_of_several_runs_names_only_what_is_drawn(monkeypatch):
    seen = []
    real = curves.Page.legend
    monkeypatch.setattr(
        curves.Page, "legend", lambda self, *a, **k: (seen.append(list(a[1])), real(self, *a, **k))[1]
    )
    fine = rows(3, ["loss/identity"])
    draw({"a": fine, "b": fine})
    draw({"a": rows(3, ["loss/identity", "validation/rank1"]), "b": fine})
    draw({"a": rows(3, ["matching/part_mass", "matching/slot_mass"]), "b": fine})
    assert seen == [
        ["a", "b", "training", "chance"],
        ["a", "b", "training", "validation", "chance"],
        ["a", "b", "training (or part)", "slot, chance"],
    ]
