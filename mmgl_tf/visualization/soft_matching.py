"""The soft-matching matrix: whether a stripe's soft neighbours share its body part or only its slot."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle


def stripe_names(num_stripes):
    """Names of the stripes: numbers from the top, the ends in words.

    Not body parts: where the head is depends on the crop, and the topmost stripe is often above it.

    Args:
        num_stripes: N.

    Returns:
        List of N strings, "0 top" .. "5 bottom" for six stripes.
    """
    ends = {0: "0 top", num_stripes - 1: f"{num_stripes - 1} bottom"}
    return [ends.get(index, str(index)) for index in range(num_stripes)]


def soft_matching_matrix(part_matrix, slot_matrix, *, part_mass, slot_mass, identity_lift, chance=None):
    """Where the soft neighbours of a stripe lie in the other modality (paper Eq. 5), by part and by slot.

    A falling contrast loss says little by itself. Mass on the left diagonal means neighbours that are the
    same part of a body; mass on the right diagonal only means the same position in the shuffled picture, a
    shortcut.

    Args:
        part_matrix: [N, N], mean mass from a query of true part i to keys of true part j; rows sum to 1.
        slot_matrix: [N, N], the same by slot of the shuffled image.
        part_mass: share of the mass on the same part, 0..1.
        slot_mass: share of the mass on the same slot, 0..1.
        identity_lift: mass on the same person given the right part, over chance; 1 is chance, None unknown.
        chance: share expected by luck; None is 1 / N.

    Returns:
        uint8 [H', W', 3], 1400 pixels wide.

    Raises:
        ValueError: matrices that are not square or not of equal size.
    """
    part_matrix, slot_matrix = np.asarray(part_matrix, float), np.asarray(slot_matrix, float)
    size = len(part_matrix)
    if part_matrix.shape != (size, size) or slot_matrix.shape != (size, size) or size == 0:
        raise ValueError(
            f"Got part matrix {part_matrix.shape} and slot matrix {slot_matrix.shape}; expected [N, N] both."
        )
    chance = 1.0 / size if chance is None else chance
    top = np.nanmax([np.nanmax(part_matrix, initial=0), np.nanmax(slot_matrix, initial=0), 1.5 * chance])
    figure = Figure(figsize=(14, 6.6), dpi=100)
    canvas = FigureCanvasAgg(figure)
    grid = figure.add_gridspec(1, 2, left=0.085, right=0.885, top=0.80, bottom=0.13, wspace=0.3)
    small = size <= 8  # room for names and two decimals in a cell
    slots = [f"slot {index}" for index in range(size)]
    known = identity_lift is not None and np.isfinite(identity_lift)
    lift = f"{identity_lift:.2f} times chance" if known else "unknown"
    entries = (
        (part_matrix, f"By body part: {part_mass:.2f} on the diagonal", stripe_names(size), "part"),
        (slot_matrix, f"By slot of the shuffled image: {slot_mass:.2f} on the diagonal", slots, "slot"),
    )
    for place, (matrix, title, names, kind) in enumerate(entries):
        axes = figure.add_subplot(grid[place])
        picture = axes.imshow(matrix, cmap="Blues", vmin=0.0, vmax=top)
        axes.set_title(title, fontsize=14, pad=10)
        axes.set_xticks(
            range(size),
            names if small else range(size),
            rotation=30 if small else 0,
            ha="right" if small else "center",
        )
        axes.set_yticks(range(size), names)
        axes.tick_params(length=0, labelsize=12 if small else 9)
        axes.set_xlabel(f"{kind} of the neighbour (other modality)", fontsize=12)
        axes.set_ylabel(f"{kind} of the query", fontsize=12)
        for row in range(size):
            axes.add_patch(
                Rectangle((row - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="#222222", linewidth=1.5)
            )
            for column in range(size):
                value = matrix[row, column]
                ink = "white" if value > 0.6 * top else "#222222"
                label = f"{value:.2f}" if small else f"{100 * value:.0f}"
                axes.text(
                    column, row, label, ha="center", va="center", color=ink, fontsize=12 if small else 7
                )
    bar = figure.colorbar(picture, cax=figure.add_axes((0.91, 0.13, 0.016, 0.67)))
    bar.ax.axhline(chance, color="#d73027", linewidth=2.5)
    bar.set_label(f"mean mass of a row (red line: chance, {chance:.2f})", fontsize=12)
    figure.text(0.02, 0.945, "Soft neighbours of a stripe in the other modality", fontsize=16, weight="bold")
    figure.text(
        0.02,
        0.895,
        f"Same part {part_mass:.2f}, same slot {slot_mass:.2f}, chance {chance:.2f} for both. Same person, "
        f"given the right part: {lift}.{'' if small else ' Cells in percent.'}",
        fontsize=12.5,
        color="#555555",
    )
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3].copy()
