"""Activation maps: where in an image the network's feature map is strong, in both modalities."""

import math

import numpy as np
from matplotlib import colormaps
from PIL import Image

from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.visualization.grid import FAINT, MAX_WIDTH, Sheet, display_width, resize, unnormalise

IMAGE_PIXELS = 216  # display height of a person
GAP = 8  # between an image and its overlay
APART = 32  # between two people
OPACITY = 0.55  # of the colours over the image
COLOURS = "turbo"  # blue, green, red: told apart on grey and on coloured images alike


def heat(maps, height, width):
    """Strength of a feature map at every pixel, each image on its own scale.

    Args:
        maps: float [B, h, w, C], the last feature map before pooling.
        height: of the result, in pixels.
        width: of the result.

    Returns:
        (heat float32 [B, height, width] in 0..1: the L2 norm over channels, 0 at the image's weakest cell and
        1 at its strongest, bicubic between cells; contrast float64 [B]: weakest over strongest norm, 0..1).
        An image whose cells are all equal is 0 everywhere, with contrast 1.
    """
    norms = np.linalg.norm(np.asarray(maps, np.float64), axis=-1)
    low, high = norms.min(axis=(1, 2)), norms.max(axis=(1, 2))
    span = (high - low)[:, None, None]
    scaled = np.divide(norms - low[:, None, None], span, out=np.zeros_like(norms), where=span > 1e-12)
    # Pillow puts a cell's value at the cell's centre, as the network's strides do.
    grown = [
        np.asarray(Image.fromarray(one.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC))
        for one in scaled
    ]
    contrast = np.divide(low, high, out=np.ones_like(low), where=high > 1e-12)
    return np.clip(np.stack(grown), 0.0, 1.0), contrast  # bicubic shoots over the ends


def overlay(image, strength):
    """Colours of `strength` over an image that is grey, so that only the heat has colour.

    Args:
        image: uint8 [H, W, 3].
        strength: float [H, W] in 0..1.

    Returns:
        uint8 [H, W, 3].
    """
    grey = image.astype(np.float64).mean(axis=-1, keepdims=True)
    colour = 255.0 * colormaps[COLOURS](strength)[..., :3]
    return np.rint((1.0 - OPACITY) * grey + OPACITY * colour).astype(np.uint8)


def activation_maps(
    visible,
    infrared,
    visible_maps,
    infrared_maps,
    captions,
    *,
    split,
    rule,
    title="Where the feature map is strong",
    mean=None,
    std=None,
):
    """Both modalities of the same people: each image beside the strength of its feature map.

    Args:
        visible: [B, H, W, 3], uint8, or float normalised with `mean` and `std`.
        infrared: [B, H, W, 3], the same people in the same order.
        visible_maps: float [B, h, w, C], the encoder's feature maps.
        infrared_maps: float [B, h, w, C].
        captions: B texts of one line, e.g. "person 12".
        split: where the images come from.
        rule: how the people were chosen, e.g. `selection.random_choice`'s sentence.
        title: in bold on top.
        mean: normalisation mean, three values in 0..1; only for float images.
        std: normalisation standard deviation, three values in 0..1; only for float images.

    Returns:
        uint8 [H', W', 3], at most 1600 pixels wide.

    Raises:
        ValueError: arrays that do not belong together, or float images without `mean`.
    """
    images = [np.asarray(visible), np.asarray(infrared)]
    maps = [np.asarray(visible_maps), np.asarray(infrared_maps)]
    count = len(captions)
    if not count or {(array.ndim, len(array)) for array in images + maps} != {(4, count)}:
        raise ValueError(
            f"Got images {[array.shape for array in images]}, feature maps {[array.shape for array in maps]} "
            f"and {count} captions; expected [B, H, W, 3], [B, h, w, C] and B, with B >= 1."
        )
    if (mean is None or std is None) and any(array.dtype != np.uint8 for array in images):
        raise ValueError(
            f"Got {images[0].dtype} and {images[1].dtype} images without mean and std; expected uint8 "
            "images, or the mean and std that they were normalised with."
        )
    images = [unnormalise(array, mean, std) for array in images]
    width = display_width(IMAGE_PIXELS, *images[0].shape[1:3])
    strengths = [heat(array, IMAGE_PIXELS, width) for array in maps]
    group = 4 * width + 3 * GAP
    most = max(1, (MAX_WIDTH - 2 * Sheet.margin + APART) // (group + APART))
    rows = math.ceil(count / most)
    per_row = math.ceil(count / rows)
    pitch = 44 + IMAGE_PIXELS + 24 + APART // 2
    cells = " x ".join(map(str, maps[0].shape[1:3]))
    notes = [
        f"{split[:1].upper()}{split[1:]}. Shown: {rule}.",
        f"Colour is the length of the feature vector at each of {cells} cells, bicubic between them. Each "
        "image has its own scale, from its weakest cell (blue) to its strongest (red), so colours cannot be "
        "compared between images; the number below is weakest over strongest, 1 where nothing stands out. A "
        "strong cell is not a reason for a match.",
    ]
    page = max(720, 2 * Sheet.margin + per_row * (group + APART) - APART)
    sheet = Sheet(page, rows * pitch + 14, title, notes)
    _scale(sheet)
    for index in range(count):
        row, place = divmod(index, per_row)
        x = Sheet.margin + place * (group + APART)
        y = sheet.top + 30 + row * pitch
        sheet.text(x, y + 8, captions[index], size=14, bold=True, anchor="lm")
        for side, name in enumerate(MODALITIES):
            left = x + side * 2 * (width + GAP)
            sheet.text(left, y + 30, name, colour=FAINT, anchor="lm")
            image = resize(images[side][index], IMAGE_PIXELS, width)
            sheet.image.paste(image, (left, y + 44))
            strength, contrast = strengths[side][0][index], strengths[side][1][index]
            heated = Image.fromarray(overlay(np.asarray(image), strength))
            sheet.image.paste(heated, (left + width + GAP, y + 44))
            middle = left + width + GAP + width // 2
            sheet.text(middle, y + 44 + IMAGE_PIXELS + 12, f"{contrast:.2f}", colour=FAINT)
    return sheet.array()


def _scale(sheet, width=220, height=12):
    """The colours in their order, with what the ends mean."""
    ramp = np.broadcast_to(np.linspace(0.0, 1.0, width), (height, width))
    colours = overlay(np.full((height, width, 3), 128, np.uint8), ramp)
    sheet.text(Sheet.margin, sheet.top + 8, "weakest cell", colour=FAINT, anchor="lm")
    sheet.image.paste(Image.fromarray(colours), (Sheet.margin + 92, sheet.top + 2))
    sheet.text(Sheet.margin + 100 + width, sheet.top + 8, "strongest cell", colour=FAINT, anchor="lm")
