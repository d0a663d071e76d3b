"""Jigsaw puzzles side by side: the same tiles laid out in several ways, right and wrong places marked."""

import math
from dataclasses import dataclass

import numpy as np

from mmgl_tf.visualization.grid import FAINT, MAX_WIDTH, RIGHT, WRONG, Sheet, resize

BOARD_PIXELS = 186  # display height of the tiles of a board, gaps not counted
FRAME = 3  # width of the green or red frame, or of the gap between tiles
GAP = 14  # between boards; between images it is twice that
HEADER = 46  # above the boards of an image
# Tiles are normalised by themselves: their own brightness and contrast are lost, and mid-grey stands for it.
_MIDDLE, _SPREAD = 128.0, 52.0


@dataclass(frozen=True)
class Layout:
    """A way to lay the tiles of n images out.

    Attributes:
        heading: what it is, e.g. "recovered".
        slots: integers [n, T]; place j of the board shows slot slots[i, j]. Places go column by column.
        right: bool [n, T] for green and red frames, or None for none.
    """

    heading: str
    slots: np.ndarray
    right: np.ndarray | None = None


def tile_boards(tiles, layouts, captions, *, title, notes=()):
    """A sheet with a group of boards for each image.

    Args:
        tiles: float [n, T, h, w, 3], each tile normalised by its own mean and deviation; T is a square.
        layouts: list of `Layout`, the boards of an image from left to right.
        captions: n texts above the boards; where a layout has frames, the number of right tiles is added.
        title: one line.
        notes: sentences below it.

    Returns:
        uint8 [H, W, 3], at most 1600 pixels wide.

    Raises:
        ValueError: no image, or a number of tiles that is no square.
    """
    tiles = np.asarray(tiles)
    count, number = tiles.shape[:2]
    side = math.isqrt(number)
    if not count or side * side != number:
        raise ValueError(
            f"Got tiles of shape {tiles.shape}; expected [n, T, h, w, 3] with n at least 1 and T a square."
        )
    height = round(BOARD_PIXELS / side)
    width = round(height * tiles.shape[3] / tiles.shape[2])
    board = side * (width + 2 * FRAME)
    group = max(len(layouts) * (board + GAP) - GAP, 150)
    rows = math.ceil(count / max(1, (MAX_WIDTH - 2 * Sheet.margin + 2 * GAP) // (group + 2 * GAP)))
    per_row = math.ceil(count / rows)  # no row is left nearly empty
    group_height = HEADER + side * (height + 2 * FRAME) + 2 * GAP
    sheet = Sheet(
        max(640, 2 * Sheet.margin + per_row * (group + 2 * GAP) - 2 * GAP),
        rows * group_height - 2 * GAP,
        title,
        notes,
    )
    pixels = np.clip(np.rint(np.nan_to_num(tiles * _SPREAD + _MIDDLE)), 0, 255).astype(np.uint8)
    for image in range(count):
        row, place = divmod(image, per_row)
        left = Sheet.margin + place * (group + 2 * GAP)
        top = sheet.top + row * group_height
        sheet.text(left, top + 10, captions[image], size=14, bold=True, anchor="lm")
        for column, layout in enumerate(layouts):
            x = left + column * (board + GAP)
            sheet.text(x + board // 2, top + 32, layout.heading, colour=FAINT)
            if layout.right is not None:
                score = int(layout.right[image].sum())
                text, colour = f"{score} of {number} right", RIGHT if score == number else WRONG
                sheet.text(left + group, top + 10, text, size=14, colour=colour, bold=True, anchor="rm")
            for spot, slot in enumerate(layout.slots[image].tolist()):
                across, down = divmod(spot, side)
                corner = x + across * (width + 2 * FRAME), top + HEADER + down * (height + 2 * FRAME)
                if layout.right is not None:
                    far = corner[0] + width + 2 * FRAME - 1, corner[1] + height + 2 * FRAME - 1
                    mark = RIGHT if layout.right[image, spot] else WRONG
                    sheet.draw.rectangle((*corner, *far), fill=mark)
                shown = resize(pixels[image, slot], height, width)
                sheet.image.paste(shown, (corner[0] + FRAME, corner[1] + FRAME))
    return sheet.array()
