"""Image panels: what the network is fed, and the stripe order that it recovers."""

import math

import numpy as np

from mmgl_tf.visualization.grid import (
    FAINT,
    MAX_WIDTH,
    RIGHT,
    WRONG,
    Sheet,
    check_permutations,
    display_width,
    resize,
    restore_stripes,
    split_stripes,
    unnormalise,
)

IMAGE_PIXELS = 228  # display height of a person; twelve 2:1 people stand side by side in MAX_WIDTH
STRIPED_PIXELS = 186  # the same, cut in stripes; four examples stand side by side
GUTTER = 20  # room for a stripe's number, left of the stripe
FRAME = 3  # width of the green or red frame
GAP = 14  # between neighbours


def _balance(count, most):
    """(rows, per row) for `count` things, at most `most` in a row, so that no row is left nearly empty."""
    rows = math.ceil(count / max(1, most))
    return rows, math.ceil(count / rows)


def augmented_batch(visible, infrared, permutation=None, *, mean, std, max_pairs=12):
    """A sheet of training pairs as the pipeline delivers them, visible above infrared.

    Args:
        visible: [B, H, W, 3], float normalised (or uint8).
        infrared: [B, H, W, 3], likewise.
        permutation: int [B, N] (shared by the pair) or [2B, N] (visible rows first), the order in which the
            stripes were shuffled; given, the people are shown whole. None shows the images as they are.
        mean: normalisation mean, three values in 0..1.
        std: normalisation standard deviation, three values in 0..1.
        max_pairs: how many pairs to show at most, from the start of the batch.

    Returns:
        uint8 [H', W', 3], at most 1600 pixels wide.

    Raises:
        ValueError: batches of different size, or a permutation that fits neither.
    """
    visible, infrared = np.asarray(visible), np.asarray(infrared)
    batch = len(visible)
    if visible.shape != infrared.shape or visible.ndim != 4 or batch == 0:
        raise ValueError(
            f"Got visible {visible.shape} and infrared {infrared.shape}; expected two equal shapes "
            "[B, H, W, 3], B >= 1."
        )
    shown = min(batch, max_pairs)
    orders = [None, None]
    if permutation is not None:
        permutation = check_permutations(permutation, "permutation")
        if len(permutation) not in (batch, 2 * batch):
            raise ValueError(
                f"Got {len(permutation)} stripe orders for {batch} pairs; expected {batch} (shared by a "
                f"pair) or {2 * batch} (visible first)."
            )
        orders = [permutation[:shown], permutation[-batch:][:shown]]
    width = display_width(IMAGE_PIXELS, *visible.shape[1:3])
    caption = 24 if permutation is not None and permutation.shape[1] <= 8 else 6
    label = 84
    rows, per_row = _balance(shown, (MAX_WIDTH - 2 * Sheet.margin - label + 8) // (width + 8))
    pair_height = 2 * (IMAGE_PIXELS + caption) + GAP
    notes = [
        f"The first {shown} of {batch} pairs; a pair is two draws, not one person. "
        "Plain boxes are erased: they have the mean colour."
    ]
    if permutation is not None:
        notes.append("Stripes put back; the network sees them in the order written below each image.")
    sheet = Sheet(
        max(640, 2 * Sheet.margin + label + per_row * (width + 8) - 8),
        rows * pair_height - GAP,
        "Augmented batch",
        notes,
    )
    for side, (name, images) in enumerate((("visible", visible), ("infrared", infrared))):
        images = unnormalise(images[:shown], mean, std)
        if orders[side] is not None:
            images = restore_stripes(images, orders[side])
        for index, image in enumerate(images):
            row, column = divmod(index, per_row)
            x = Sheet.margin + label + column * (width + 8)
            y = sheet.top + row * pair_height + side * (IMAGE_PIXELS + caption)
            if column == 0:
                sheet.text(Sheet.margin, y + IMAGE_PIXELS // 2, name, size=14, bold=True, anchor="lm")
            sheet.image.paste(resize(image, IMAGE_PIXELS, width), (x, y))
            if caption > 6:
                order = " ".join(map(str, orders[side][index]))
                sheet.text(x + width // 2, y + IMAGE_PIXELS + 11, order, colour=FAINT)
    return sheet.array()


def recovered_stripes(images, permutation, recovered, modalities, *, mean, std, selection, max_examples=12):
    """Shuffled input, the order that the network recovers, and the truth, side by side for each image.

    In the recovered column, position j shows the slot that the network assigns to j. A green frame says that
    it is the right stripe, a red one that it is not; every number is a stripe's true index.

    Args:
        images: [B, H, W, 3], float normalised (or uint8), *shuffled* as the network saw them.
        permutation: int [B, N], the truth: slot i holds original stripe permutation[b, i].
        recovered: int [B, N], what the network says, by exact assignment.
        modalities: B names, e.g. "visible".
        mean: normalisation mean, three values in 0..1.
        std: normalisation standard deviation, three values in 0..1.
        selection: how the images were chosen, printed on the sheet, e.g. "the first 8 held-out images".
        max_examples: how many images to show at most, from the start.

    Returns:
        uint8 [H', W', 3], at most 1600 pixels wide.

    Raises:
        ValueError: shapes that do not belong together, or rows that are not permutations.
    """
    truth = check_permutations(permutation, "permutation")[:max_examples]
    guess = check_permutations(recovered, "recovered")[:max_examples]
    images = unnormalise(np.asarray(images)[:max_examples], mean, std)
    count = len(images)
    if truth.shape != guess.shape or len(truth) != count or len(modalities) < count or count == 0:
        raise ValueError(
            f"Got {count} images, true orders {truth.shape}, recovered orders {guess.shape} and "
            f"{len(modalities)} modality names; expected one of each per image, and at least one image."
        )
    num_stripes = truth.shape[1]
    whole = restore_stripes(images, truth)
    # Position j of the recovered image holds the slot assigned to it; that slot's true index is the label.
    placed = np.take_along_axis(truth, np.argsort(guess, axis=1), axis=1)
    columns = (
        ("input", images, truth, False),
        ("recovered", restore_stripes(images, guess), placed, True),
        ("true", whole, np.tile(np.arange(num_stripes), (count, 1)), False),
    )
    width = display_width(STRIPED_PIXELS, *images.shape[1:3])
    stripe = max(10, round(STRIPED_PIXELS / num_stripes))
    pitch = stripe + 2 * FRAME + 2
    column_width = GUTTER + width + 2 * FRAME
    group_width = 3 * column_width + 2 * 4
    rows, per_row = _balance(count, (MAX_WIDTH - 2 * Sheet.margin + 2 * GAP) // (group_width + 2 * GAP))
    header = 46
    group_height = header + num_stripes * pitch + 2 * GAP
    hits = placed == np.arange(num_stripes)
    notes = [
        f"Shown: {selection}. Stripes in the right place: {hits.sum()} of {hits.size}; whole orders right: "
        f"{hits.all(axis=1).sum()} of {count}.",
        "Numbers are true stripes, 0 the top of the person. Green frame: right place, red frame: wrong.",
    ]
    sheet = Sheet(
        max(640, 2 * Sheet.margin + per_row * (group_width + 2 * GAP) - 2 * GAP),
        rows * group_height - 2 * GAP,
        "Stripe order: input, recovered, true",
        notes,
    )
    for index in range(count):
        row, place = divmod(index, per_row)
        left = Sheet.margin + place * (group_width + 2 * GAP)
        top = sheet.top + row * group_height
        score = int(hits[index].sum())
        colour = RIGHT if score == num_stripes else WRONG
        sheet.text(left + GUTTER, top + 10, modalities[index], size=14, bold=True, anchor="lm")
        right = left + group_width
        sheet.text(
            right, top + 10, f"{score} of {num_stripes} right", size=14, colour=colour, bold=True, anchor="rm"
        )
        for column, (name, sources, labels, judged) in enumerate(columns):
            x = left + column * (column_width + 4)
            sheet.text(x + GUTTER + FRAME + width // 2, top + 32, name, colour=FAINT)
            for slot, pixels in enumerate(split_stripes(sources, num_stripes)[index]):
                y = top + header + slot * pitch
                mark = (RIGHT if hits[index, slot] else WRONG) if judged else FAINT
                if judged:
                    box = (x + GUTTER, y, x + column_width - 1, y + pitch - 3)
                    sheet.draw.rectangle(box, outline=mark, width=FRAME)
                sheet.image.paste(resize(pixels, stripe, width), (x + GUTTER + FRAME, y + FRAME))
                size = min(14, max(9, stripe - 2))
                text = str(labels[index, slot])
                sheet.text(
                    x + GUTTER - 4, y + pitch // 2 - 1, text, size=size, colour=mark, bold=judged, anchor="rm"
                )
    return sheet.array()
