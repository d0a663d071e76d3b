import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

from mmgl_tf.visualization import accuracy_over_epochs as module


@pytest.fixture
def draw(monkeypatch):
    """The function under test, without warnings, and what it drew."""
    seen = {"panels": {}, "sentences": []}
    real, text = module._draw, Figure.text

    def spy_draw(axes, name, lines, order):
        real(axes, name, lines, order)
        seen["panels"][name] = axes

    def spy_text(figure, x, y, s, **kwargs):
        seen["sentences"].append(s)
        return text(figure, x, y, s, **kwargs)

    monkeypatch.setattr(module, "_draw", spy_draw)
    monkeypatch.setattr(Figure, "text", spy_text)

    def run(runs, note="40 people."):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return module.accuracy_over_epochs(runs, note=note), seen

    return run


def rows(rank1, precision=None):
    found = [{"epoch": e + 1, "loss/total": 1.0, "validation/rank1": value} for e, value in enumerate(rank1)]
    for row, value in zip(found, precision or [], strict=False):
        row["validation/mAP"] = value
    return found


def test_lines_are_per_cent_over_epochs_with_a_ring_at_the_best(draw):
    picture, seen = draw({"random": rows([0.1, 0.3, 0.2], [0.05, 0.1, 0.15]), "MMGL": rows([0.2, 0.25])})
    assert picture.dtype == np.uint8
    assert picture.shape[1:] == (1600, 3)
    assert list(seen["panels"]) == ["Rank-1", "mAP"]
    axes = seen["panels"]["Rank-1"]
    random, ring, other, _ = axes.get_lines()
    assert random.get_xdata().tolist() == [1, 2, 3]
    assert random.get_ydata() == pytest.approx([10, 30, 20])
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == pytest.approx((2, 30))
    assert random.get_color() == ring.get_color() != other.get_color()
    assert random.get_label() == "random: 30.0 % in epoch 2"
    assert axes.get_ylim()[0] == 0.0
    assert seen["panels"]["mAP"].get_lines()[0].get_label() == "random: 15.0 % in epoch 3"
    assert len(seen["panels"]["mAP"].get_lines()) == 2  # MMGL has logged none
    assert seen["sentences"][1] == "40 people. Ring: best epoch."


def test_a_run_has_one_colour_in_both_panels(draw):
    _, seen = draw({"a": rows([0.1, 0.2]), "b": rows([0.1, 0.2], [0.1, 0.1])})
    assert (
        seen["panels"]["mAP"].get_lines()[0].get_color()
        == seen["panels"]["Rank-1"].get_lines()[2].get_color()
    )


@pytest.mark.parametrize("values", [[0.3], [0.0, 0.0], [0.1, float("nan"), 0.2], [1.0, 1.0], [0.1] * 300])
def test_any_course_is_drawn_without_warning(draw, values):
    picture, seen = draw({"run": rows(values)})
    assert picture.shape[1] == 850
    low, high = seen["panels"]["Rank-1"].get_ylim()
    assert low == 0
    assert 100 * np.nanmax(values) <= high <= 102
    if len(values) == 1:
        assert seen["panels"]["Rank-1"].get_xlim() == (0, 2)  # the epoch in the middle, no fractions of it
    best = seen["panels"]["Rank-1"].get_lines()[1]
    assert best.get_ydata()[0] == pytest.approx(100 * np.nanmax(values))


@pytest.mark.parametrize("runs", [{}, {"a": []}, {"a": [{"epoch": 1, "loss/total": 2.0}]}])
def test_nothing_to_draw_is_an_error_that_helps(draw, runs):
    with pytest.raises(ValueError, match="held-out identities"):
        draw(runs)
