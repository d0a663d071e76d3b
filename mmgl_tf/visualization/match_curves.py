"""Cumulative match curves: how often the right person is among the first k, for several runs."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmgl_tf.visualization.curves import COLOURS
from mmgl_tf.visualization.grid import font, wrap

STYLES = ("-", "--", ":")  # once the colours are used up


def match_curves(curves, *, protocol, mean_average_precisions=None, title="Cumulative match curves"):
    """Draw the share of queries whose person is among the first k images, for k = 1, 2, ...

    Args:
        curves: dict from the name of a run to its curve: float [R], fractions 0..1, entry k - 1 for rank k,
            not falling; R may differ between runs.
        protocol: what was measured, printed below the title: data set, search, shots, direction, draws.
        mean_average_precisions: dict from the name of a run to its mAP, 0..1; runs may be missing.
        title: in bold on top.

    Returns:
        uint8 [H', 1000, 3].

    Raises:
        ValueError: no run, or a curve that is none.
    """
    curves = {name: np.asarray(curve, np.float64) for name, curve in curves.items()}
    if not curves:
        raise ValueError("Got no run; expected {name: match curve [R]} with at least one.")
    for name, curve in curves.items():
        good = curve.ndim == 1 and curve.size and np.isfinite(curve).all()
        if not good or curve.min() < 0.0 or curve.max() > 1.0 + 1e-9 or (np.diff(curve) < -1e-9).any():
            raise ValueError(
                f"Got for {name!r} a curve of shape {curve.shape}, {np.array2string(curve.ravel()[:5])} ...; "
                "expected fractions 0..1 that never fall, one for each rank. Divide per cent by 100."
            )
    precisions = mean_average_precisions or {}
    lines = wrap(protocol, 900, font(15))
    height = 6.3 + 0.24 * len(lines)
    figure = Figure(figsize=(10, height), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.085, 0.62 / height, 0.885, 5.1 / height))
    figure.text(0.03, 1 - 0.3 / height, title, fontsize=15, weight="bold", va="center")
    for number, line in enumerate(lines):
        y = 1 - (0.6 + 0.24 * number) / height
        figure.text(0.03, y, line, fontsize=10.5, color="#555555", va="center")
    # The best at rank 1 first, as the lines lie.
    for number, (name, curve) in enumerate(sorted(curves.items(), key=lambda item: -item[1][0])):
        label = f"{name}: Rank-1 {100 * curve[0]:.1f} %"
        if name in precisions:
            label += f", mAP {100 * precisions[name]:.1f} %"
        axes.plot(
            np.arange(1, len(curve) + 1),
            100 * curve,
            color=COLOURS[list(curves).index(name) % len(COLOURS)],
            linestyle=STYLES[list(curves).index(name) // len(COLOURS) % len(STYLES)],
            marker="o" if len(curve) <= 30 else None,
            markersize=3.5,
            linewidth=1.8,
            label=label,
            zorder=3 + len(curves) - number,
        )
    longest = max(map(len, curves.values()))
    axes.set_xlim(1 - 0.02 * max(longest - 1, 1), longest + 0.02 * max(longest - 1, 1))
    axes.set_ylim(0, 100)
    axes.set_xlabel("rank k", fontsize=11)
    axes.set_ylabel("queries with the right person among the first k, %", fontsize=11)
    ticks = MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]).tick_values(0, longest)
    axes.set_xticks([1, *(tick for tick in ticks if 1 < tick <= longest)])
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=10, loc="best", framealpha=0.85)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3].copy()
