"""Training curves of either training: metrics.jsonl as small multiples, one run in detail or several."""

import math
import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Page
from matplotlib.ticker import MaxNLocator

from mmgl_tf.pipelines.records import MODALITIES

# Colour-blind safe (Okabe and Ito), the light yellow left out.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
TITLE_LETTERS = 40  # of a line above a panel
# What a key's relatives are called and drawn in; dashed is one modality alone.
VARIANTS = (
    ("", "", "training", COLOURS[0]),
    ("validation/", "", "validation", COLOURS[1]),
    ("", "_visible", "visible", COLOURS[2]),
    ("", "_infrared", "infrared", COLOURS[3]),
    ("validation/", "_visible", "validation, visible", COLOURS[2]),
    ("validation/", "_infrared", "validation, infrared", COLOURS[3]),
)


def series(rows, key):
    """One metric over the epochs.

    A run that was killed and resumed may have written an epoch twice; the later row counts.

    Args:
        rows: dicts of one run, each with "epoch".
        key: name of the metric. A row without it, or with null, is passed over; NaN and infinity are kept.

    Returns:
        (epochs, values): two float arrays of equal length, sorted by epoch; empty if no row has the key.
    """
    points = {float(row["epoch"]): float(row[key]) for row in rows if row.get(key) is not None}
    epochs = sorted(points)
    return np.array(epochs, float), np.array([points[epoch] for epoch in epochs], float)


def validation_series(rows, key):
    """A metric on held-out images: as logged, or else the mean of the two modalities, of which one may lack.

    Args:
        rows: as in `series`.
        key: the metric's training name, e.g. "accuracy/part".

    Returns:
        (epochs, values) as in `series`.
    """
    epochs, values = series(rows, f"validation/{key}")
    if len(epochs):
        return epochs, values
    halves = [dict(zip(*series(rows, f"validation/{key}_{name}"), strict=True)) for name in MODALITIES]
    halves = [half for half in halves if half]
    epochs = sorted(set.intersection(*map(set, halves))) if halves else []
    return np.array(epochs, float), np.array([np.mean([half[e] for half in halves]) for e in epochs], float)


def panels_of(figures):
    """Which figures share a panel: {title: figures}, in order."""
    panels = {}
    for figure in figures:
        panels.setdefault(figure.panel or figure.title, []).append(figure)
    return panels


def _one_run(rows, figures):
    """The lines of one panel for one run: (label, colour, linestyle, epochs, values) each."""
    for position, figure in enumerate(figures):
        key = figure.name
        for prefix, suffix, role, colour in VARIANTS:
            epochs, values = series(rows, prefix + key + suffix)
            if not prefix + suffix and figure.source != "step":
                apart = any(set(figure.names_in(row)) - {""} for row in rows)
                role = "both" if apart else "measured"
            if len(figures) > 1:
                colour = COLOURS[position]
                role = figure.line if not prefix + suffix else f"{figure.line}, {role}"
            if len(epochs):
                yield role, colour, "--" if suffix else "-", epochs, values


def _several_runs(runs, figures):
    """The same for runs side by side: colour is the run, dashed validation, dotted a second key."""
    for number, (name, rows) in enumerate(runs.items()):
        for position, key in enumerate(figure.name for figure in figures):
            for style, (epochs, values) in (
                (("-", ":")[min(position, 1)], series(rows, key)),
                ("--", validation_series(rows, key)),
            ):
                if len(epochs):
                    yield name, COLOURS[number % len(COLOURS)], style, epochs, values


def _lines(runs, figures):
    return list(_one_run(*runs.values(), figures) if len(runs) == 1 else _several_runs(runs, figures))


def training_curves(runs, figures):
    """Draw every figure that the rows hold, a panel each or several in one; panels without data are left out.

    Args:
        runs: rows of metrics.jsonl (a list of dicts, one per epoch, each with "epoch"), or a dict from the
            name of a run to its rows. One run shows both modalities; several the totals.
        figures: tuple of `mmgl_tf.figures.Figure`, in the order of the panels; a chance value is drawn as a
            dotted line.

    Returns:
        uint8 [H', W', 3], at most 1600 pixels wide.

    Raises:
        ValueError: no run, or no row holds any metric known here.
    """
    runs = dict(runs) if isinstance(runs, Mapping) else {"run": list(runs)}
    panels = [(title, own, _lines(runs, own)) for title, own in panels_of(figures).items()]
    panels = [panel for panel in panels if panel[2]]
    if not panels:
        rows = sum(len(rows) for rows in runs.values())
        raise ValueError(
            f"Got {len(runs)} runs with {rows} rows and none of the metrics known here; expected rows of "
            'metrics.jsonl with "epoch" and, for example, "loss/total". Has the first epoch ended yet?'
        )
    columns = min(4, len(panels))
    height = math.ceil(len(panels) / columns)
    page = Page(
        figsize=(4 * columns, 3 * height + (0.4 if len(runs) > 1 else 0)), dpi=100, layout="constrained"
    )
    canvas = FigureCanvasAgg(page)
    grid = page.subplots(height, columns, squeeze=False).ravel()
    for axes, (title, own, lines) in zip(grid, panels, strict=False):
        known = [figure for figure in own if figure.chance is not None]
        chances = [value for figure in known for value in (figure.chance, figure.chance_on_held_out())]
        _draw(axes, _as_heading(title), own[0].axis, lines, chances, len(runs) == 1)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    if len(runs) > 1:
        _name_runs(page, runs, [own for _, own, _ in panels if len(own) > 1])
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3].copy()


def _as_heading(title):
    """A title with a capital letter, unless it begins with a name that has one further on, such as mAP."""
    first = title.split()[0]
    return title if first != first.lower() else title[0].upper() + title[1:]


def _draw(axes, title, start, lines, chances, legend):
    """Fill one panel: lines, chance, axis limits and, where something is not a number, a note."""
    axes.set_title(textwrap.fill(title, TITLE_LETTERS), fontsize=12)
    for label, colour, style, epochs, values in lines:
        marker = "o" if len(epochs) <= 10 else None
        axes.plot(
            epochs,
            values,
            color=colour,
            linestyle=style,
            marker=marker,
            markersize=3.5,
            linewidth=1.6,
            label=label,
        )
    for value in sorted(set(chances)):
        axes.axhline(value, color="#888888", linestyle=":", linewidth=1.4, label=f"chance {value:.3g}")
    if start == "share":
        axes.set_ylim(-0.03, 1.03)
    elif start == "zero":
        # Reading the limits lets Matplotlib settle the top, margin included, before the bottom is moved.
        low, high = axes.get_ylim()
        axes.set_ylim(min(0.0, low), high + 0.05 * (high - low) + 0.02 * abs(high))
    bad = sum(int((~np.isfinite(values)).sum()) for *_, values in lines)
    note = f" ({bad} value{'s' if bad > 1 else ''} not finite)" if bad else ""
    axes.set_xlabel(f"epoch{note}", fontsize=10, color="#d73027" if bad else "black")
    first, last = min(line[3][0] for line in lines), max(line[3][-1] for line in lines)
    if last - first < 1:  # one epoch: no fractions of it on the axis
        axes.set_xlim(first - 1, last + 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.tick_params(labelsize=10)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    if legend and len(handles) > 1:
        axes.legend(handles, labels, fontsize=8.5, loc="best", framealpha=0.8)


def _name_runs(page, runs, shared):
    """One legend for the whole figure when runs are compared: colour is the run, style is the split."""
    used = {line.get_linestyle() for axes in page.axes for line in axes.get_lines()}
    names = {"-": "training", "--": "validation", ":": "chance"}
    if shared:  # the first figure of a panel is a full line, the second is dotted, as chance is
        first, second = ("/".join(dict.fromkeys(own[k].line for own in shared)) for k in (0, 1))
        names |= {"-": f"training (or {first})", ":": f"{second}, chance"}
    names = {style: name for style, name in names.items() if style in used}
    handles = [
        page.axes[0].plot([], [], color=COLOURS[i % len(COLOURS)], linewidth=2)[0] for i in range(len(runs))
    ]
    handles += [page.axes[0].plot([], [], color="#555555", linestyle=style)[0] for style in names]
    labels = [*runs, *names.values()]
    page.legend(
        handles, labels, loc="outside upper center", ncols=min(len(labels), 8), fontsize=10, frameon=False
    )
