import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmgl_tf.visualization import match_curves as module
from mmgl_tf.visualization.match_curves import match_curves


@pytest.fixture
def drawn(monkeypatch):
    seen = {"lines": {}, "sentences": []}
    plot, text = Axes.plot, Figure.text

    def spy_plot(axes, x, y, **kwargs):
        seen["lines"][kwargs["label"]] = (list(x), list(y), kwargs["color"], kwargs["linestyle"])
        return plot(axes, x, y, **kwargs)

    def spy_text(figure, x, y, s, **kwargs):
        seen["sentences"].append(s)
        return text(figure, x, y, s, **kwargs)

    monkeypatch.setattr(Axes, "plot", spy_plot)
    monkeypatch.setattr(Figure, "text", spy_text)
    return seen


def test_lines_are_per_cent_by_rank_with_rank_1_and_map_in_the_legend(drawn):
    curves = {"random": [0.05, 0.1, 0.1], "MMGL": np.array([0.25, 0.5, 0.75, 1.0])}
    picture = match_curves(
        curves, protocol="SYSU-MM01, all search", mean_average_precisions={"MMGL": 0.125}, title="Test"
    )
    assert picture.dtype == np.uint8
    assert picture.shape[1:] == (1000, 3)
    assert list(drawn["lines"]) == ["MMGL: Rank-1 25.0 %, mAP 12.5 %", "random: Rank-1 5.0 %"]  # best first
    better, worse = drawn["lines"].values()
    assert better[:2] == ([1, 2, 3, 4], [25, 50, 75, 100])
    assert worse[:2] == ([1, 2, 3], pytest.approx([5, 10, 10]))
    assert better[2] != worse[2]
    assert drawn["sentences"] == ["Test", "SYSU-MM01, all search"]


def test_many_runs_differ_in_colour_or_style(drawn):
    match_curves({str(k): [0.1, 0.2] for k in range(20)}, protocol="p")
    assert len({line[2:] for line in drawn["lines"].values()}) == 20


def test_a_run_keeps_its_colour_when_another_overtakes_it(drawn):
    match_curves({"a": [0.1], "b": [0.2]}, protocol="p")
    first = {label[0]: line[2] for label, line in drawn["lines"].items()}
    drawn["lines"].clear()
    match_curves({"a": [0.3], "b": [0.2]}, protocol="p")
    assert {label[0]: line[2] for label, line in drawn["lines"].items()} == first
    assert first["a"] == module.COLOURS[0]


@pytest.mark.parametrize("curve", [[], [[0.1]], [0.5, 0.4], [25.0, 50.0], [-0.1, 0.2], [np.nan, 0.2], 0.3])
def test_what_is_no_match_curve_is_refused(curve):
    with pytest.raises(ValueError, match=r"fractions .* that never fall"):
        match_curves({"run": curve}, protocol="p")


def test_no_run_is_refused():
    with pytest.raises(ValueError, match="Got no run"):
        match_curves({}, protocol="p")
