"""Rows of people under each other, each row with a name: views, nearest neighbours, predictions."""

import numpy as np

from mmgl_tf.visualization.grid import MAX_WIDTH, RIGHT, WRONG, Sheet, display_width, resize, unnormalise

ROW_PIXELS = 168  # display height of a person
LABEL = 150  # room for a row's name
GAP = 8
FRAME = 4


def image_rows(rows, *, title, notes=(), scale=None, frames=None, captions=None):
    """A sheet with a row for each name; the columns belong together. A shorter row ends in blanks.

    Args:
        rows: {name: images [n, H, W, 3]}, float normalised or uint8; sizes may differ between rows.
        title: one line.
        notes: sentences below it.
        scale: (mean, standard deviation) of the normalisation; None where all rows are uint8.
        frames: {name: bool [n]}, green or red frames around the images of a row.
        captions: {name: list of n texts} below the images of a row.

    Returns:
        uint8 [H', W', 3], at most 1600 pixels wide; columns that do not fit are left out.

    Raises:
        ValueError: no image.
    """
    longest = max((len(images) for images in rows.values()), default=0)
    if not longest:
        raise ValueError(f"Got {len(rows)} rows without an image; expected at least one image.")
    frames, captions = frames or {}, captions or {}
    widths = [display_width(ROW_PIXELS, *np.shape(images)[1:3]) for images in rows.values()]
    column = max(widths) + GAP
    shown = min(longest, (MAX_WIDTH - 2 * Sheet.margin - LABEL) // column)
    heights = [ROW_PIXELS + GAP + 2 * FRAME + (20 if name in captions else 0) for name in rows]
    sheet = Sheet(2 * Sheet.margin + LABEL + shown * column, sum(heights), title, notes)
    y = sheet.top
    for (name, images), width, height in zip(rows.items(), widths, heights, strict=True):
        for number, line in enumerate(name.split("\n")):
            sheet.text(Sheet.margin, y + ROW_PIXELS // 2 + 18 * number, line, size=14, anchor="lm")
        for place in range(min(len(images), shown)):
            x = Sheet.margin + LABEL + place * column
            pixels = images[place] if scale is None else unnormalise(images[place], *scale)
            if name in frames:
                box = (x, y, x + width + 2 * FRAME - 1, y + ROW_PIXELS + 2 * FRAME - 1)
                sheet.draw.rectangle(box, fill=RIGHT if frames[name][place] else WRONG)
            sheet.image.paste(resize(pixels, ROW_PIXELS, width), (x + FRAME, y + FRAME))
            if name in captions:
                middle = x + FRAME + width // 2
                sheet.text(middle, y + ROW_PIXELS + 2 * FRAME + 9, captions[name][place], size=11)
        y += height
    return sheet.array()
