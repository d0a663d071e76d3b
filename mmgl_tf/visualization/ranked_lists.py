"""Ranked lists: a query and what the network finds first, right or wrong where that is known (Figure 5)."""

import math

import numpy as np

from mmgl_tf.visualization.grid import (
    FAINT,
    MAX_WIDTH,
    RIGHT,
    WRONG,
    Sheet,
    display_width,
    font,
    resize,
    unnormalise,
)

IMAGE_PIXELS = 168  # display height of a person
FRAME = 4  # width of the green or red frame
GAP = 10  # between neighbours
UNKNOWN = (189, 189, 189)  # of a frame where nobody knows who is who
LINE = 16  # height of a line of text below an image
TEXT = 12  # its size


def describe(identity, camera=None):
    """The text below an image: "person 12, cam 3"; without the camera where it is unknown (None or < 0)."""
    known = camera is not None and camera >= 0
    return f"person {identity}" + (f"\ncamera {camera}" if known else "")


def ranked_lists(
    query_images,
    gallery_images,
    right,
    query_captions,
    gallery_captions,
    *,
    split,
    rule,
    first_right=None,
    title="What is found first",
    mean=None,
    std=None,
):
    """One row a query: the query, then the gallery images by falling similarity, framed green, red or grey.

    Args:
        query_images: [Q, H, W, 3], uint8, or float normalised with `mean` and `std`.
        gallery_images: [Q, K, H', W', 3], likewise: for each query the first K of its list (paper: 10), after
            images that the protocol excludes for it have been left out.
        right: bool [Q, K], whether it is the same person; None where nobody knows: then frames are grey, and
            nothing is said of right and wrong.
        query_captions: Q texts, see `describe`; "\\n" begins a new line.
        gallery_captions: Q lists of K texts.
        split: what was searched with what, e.g. "test split, infrared query, visible gallery of 800 images".
        rule: how the queries were chosen, e.g. `selection.random_choice`'s sentence. Without it a sheet is
            mistaken for the typical case, or the worst cases for a wrong metric.
        first_right: int [Q], rank (from 1) of the first image of the same person, 0 where the gallery has
            none; printed where it lies beyond the list. None prints nothing.
        title: in bold on top, e.g. the name of the run.
        mean: normalisation mean, three values in 0..1; only for float images.
        std: normalisation standard deviation, three values in 0..1; only for float images.

    Returns:
        uint8 [H', W', 3], at most 1600 pixels wide for lists of up to 20 places.

    Raises:
        ValueError: shapes or numbers of texts that do not belong together, or float images without `mean`.
    """
    query_images, gallery_images = map(np.asarray, (query_images, gallery_images))
    queries, length = gallery_images.shape[:2]
    known = right is not None
    right = np.asarray(right) if known else np.zeros((queries, length), bool)
    texts = (len(query_captions), [len(captions) for captions in gallery_captions])
    if (
        query_images.ndim != 4
        or gallery_images.ndim != 5
        or not queries
        or not length
        or len(query_images) != queries
        or right.shape != (queries, length)
        or texts != (queries, [length] * queries)
        or (first_right is not None and len(first_right) != queries)
    ):
        raise ValueError(
            f"Got queries {query_images.shape}, gallery images {gallery_images.shape}, right {right.shape} "
            f"and {texts[0]} and {texts[1]} captions; expected [Q, H, W, 3], [Q, K, H', W', 3], [Q, K], Q "
            "and K for each query. Shorten all lists to the shortest one."
        )
    if (mean is None or std is None) and (query_images.dtype != np.uint8 or gallery_images.dtype != np.uint8):
        raise ValueError(
            f"Got {query_images.dtype} and {gallery_images.dtype} images without mean and std; expected "
            "uint8 images, or the mean and std that they were normalised with."
        )
    query_images = unnormalise(query_images, mean, std)
    gallery_images = unnormalise(gallery_images, mean, std)
    captions = [query_captions, *gallery_captions]
    lines = 1 + max(text.count("\n") for row in captions for text in row)
    caption = max(font(TEXT).getlength(line) for row in captions for text in row for line in text.split("\n"))
    height, widths, columns = _sizes(query_images.shape[1:3], gallery_images.shape[2:4], length, caption)
    pitch = height + 2 * FRAME + lines * LINE + (3 if first_right is not None else 2) * GAP
    found = int(right[:, 0].sum())
    notes = [
        f"{split[:1].upper()}{split[1:]}. Shown: {rule}.",
        "From left to right by falling similarity. "
        + (
            "Green frame: the same person, red frame: another one. "
            f"First place right for {found} of these {queries} queries."
            if known
            else "Who is on the images is not known, so nothing here says right or wrong."
        ),
    ]
    sheet = Sheet(
        max(640, 2 * Sheet.margin + columns[0] + length * columns[1] - GAP),
        26 + queries * pitch - GAP,
        title,
        notes,
    )
    left = Sheet.margin + columns[0]
    # Images stand in the middle of columns that are as wide as their captions need.
    query_x = Sheet.margin + (columns[0] - 2 * GAP - widths[0]) // 2
    inset = (columns[1] - GAP - widths[1] - 2 * FRAME) // 2
    sheet.text(query_x + widths[0] // 2, sheet.top + 8, "query", bold=True)
    for row in range(queries):
        y = sheet.top + 26 + row * pitch
        below = y + height + 2 * FRAME
        sheet.image.paste(resize(query_images[row], height, widths[0]), (query_x, y + FRAME))
        _caption(sheet, query_x + widths[0] // 2, below, query_captions[row])
        for place in range(length):
            x = left + place * columns[1] + inset
            middle = x + FRAME + widths[1] // 2
            if row == 0:
                sheet.text(middle, sheet.top + 8, str(place + 1), bold=True)
            colour = (RIGHT if right[row, place] else WRONG) if known else UNKNOWN
            sheet.draw.rectangle((x, y, x + widths[1] + 2 * FRAME - 1, below - 1), fill=colour)
            sheet.image.paste(resize(gallery_images[row, place], height, widths[1]), (x + FRAME, y + FRAME))
            _caption(sheet, middle, below, gallery_captions[row][place])
        if first_right is not None and not right[row].any():
            _say_where(sheet, left + inset, below + lines * LINE + GAP, int(first_right[row]))
    return sheet.array()


def _sizes(query, gallery, length, caption):
    """Display height, widths of a query and a gallery image, and of their columns: a row fits the page.

    Args:
        query: (height, width) of a query image.
        gallery: (height, width) of a gallery image.
        length: K.
        caption: width of the widest line of text in pixels.
    """
    height = IMAGE_PIXELS
    while True:
        widths = display_width(height, *query), display_width(height, *gallery)
        columns = (
            max(widths[0], math.ceil(caption)) + 2 * GAP,
            max(widths[1] + 2 * FRAME, math.ceil(caption) - 4) + GAP,
        )
        if 2 * Sheet.margin + columns[0] + length * columns[1] - GAP <= MAX_WIDTH or height <= 96:
            return height, widths, columns
        height -= 8


def _caption(sheet, x, y, text):
    for number, line in enumerate(text.split("\n")):
        sheet.text(x, y + LINE // 2 + 2 + number * LINE, line, size=TEXT, colour=FAINT)


def _say_where(sheet, x, y, rank):
    text = f"first right image at place {rank}" if rank else "the gallery has no image of this person"
    sheet.text(x, y, text, size=TEXT, colour=WRONG, anchor="lm")
