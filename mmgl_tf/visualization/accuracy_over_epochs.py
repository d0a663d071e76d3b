"""How fast fine-tuning gets anywhere: accuracy on held-out people over epochs, several runs (Figure 8)."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmgl_tf.visualization.curves import COLOURS, series
from mmgl_tf.visualization.grid import font, wrap

METRICS = (("Rank-1", "validation/rank1"), ("mAP", "validation/mAP"))
STYLES = ("-", "--", ":")  # once the colours are used up


def accuracy_over_epochs(runs, *, note, title="Accuracy on validation identities"):
    """Draw Rank-1 and mAP on validation identities over epochs; a ring marks each run's best epoch.

    Validation identities choose the epoch, so the ring flatters a run a little: results are those of the
    test split.

    Args:
        runs: dict from the name of a run to its rows of metrics.jsonl (dicts with "epoch" and, in 0..1,
            "validation/rank1" and "validation/mAP"). Rows or runs without a metric are passed over.
        note: what was measured on, printed below the title, e.g. "40 people, infrared to visible".
        title: in bold on top.

    Returns:
        uint8 [H', W', 3], 1600 pixels wide with both metrics, 850 with one.

    Raises:
        ValueError: no run has either metric.
    """
    panels = []
    for name, key in METRICS:
        lines = {run: series(rows, key) for run, rows in runs.items()}
        lines = {run: line for run, line in lines.items() if np.isfinite(line[1]).any()}
        if lines:
            panels.append((name, lines))
    if not panels:
        raise ValueError(
            f"Got {len(runs)} runs with {sum(len(rows) for rows in runs.values())} rows and neither of "
            '"validation/rank1" and "validation/mAP"; expected the metrics.jsonl of fine-tuning runs. '
            "Fine-tune with held-out identities (--train_ids=train)."
        )
    width = 16.0 if len(panels) == 2 else 8.5
    sentences = wrap(f"{note} Ring: best epoch.", 100 * width - 60, font(15))
    height = 5.75 + 0.24 * len(sentences)
    figure = Figure(figsize=(width, height), dpi=100)
    canvas = FigureCanvasAgg(figure)
    figure.text(0.3 / width, 1 - 0.3 / height, title, fontsize=15, weight="bold", va="center")
    for number, sentence in enumerate(sentences):
        y = 1 - (0.6 + 0.24 * number) / height
        figure.text(0.3 / width, y, sentence, fontsize=10.5, color="#555555", va="center")
    for number, (name, lines) in enumerate(panels):
        side = width / len(panels)
        axes = figure.add_axes(
            ((number * side + 0.75) / width, 0.62 / height, (side - 1.0) / width, 4.3 / height)
        )
        _draw(axes, name, lines, list(runs))
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3].copy()


def _draw(axes, name, lines, order):
    """One metric: a line and a ring for each run."""
    for run, (epochs, values) in lines.items():
        place = order.index(run)
        colour = COLOURS[place % len(COLOURS)]
        best = int(np.nanargmax(np.where(np.isfinite(values), values, -np.inf)))
        axes.plot(
            epochs,
            100 * values,
            color=colour,
            linestyle=STYLES[place // len(COLOURS) % len(STYLES)],
            linewidth=1.8,
            marker="o" if len(epochs) <= 10 else None,
            markersize=3.5,
            label=f"{run}: {100 * values[best]:.1f} % in epoch {epochs[best]:g}",
        )
        axes.plot(
            epochs[best], 100 * values[best], "o", color=colour, markersize=9, fillstyle="none", clip_on=False
        )
    axes.set_title(name, fontsize=12.5)
    axes.set_ylabel(f"{name}, %", fontsize=11)
    axes.set_xlabel("epoch", fontsize=11)
    # The top is settled before the bottom is moved to zero.
    axes.set_ylim(0.0, min(102.0, max(1.0, axes.get_ylim()[1])))
    first, last = min(e[0] for e, _ in lines.values()), max(e[-1] for e, _ in lines.values())
    if last - first < 1:  # one epoch: no fractions of it on the axis
        axes.set_xlim(first - 1, last + 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=10, loc="best", framealpha=0.85)
