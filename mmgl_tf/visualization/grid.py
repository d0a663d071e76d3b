"""What the panels are pasted from: pixels for the eye, stripes in order, text, and a PNG on disk."""

import functools
import math
import os
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

MAX_WIDTH = 1600  # pixels: fits a laptop screen and a README without being scaled down
PAPER = (255, 255, 255)
INK = (33, 33, 33)
FAINT = (115, 115, 115)
RIGHT = (26, 152, 80)
WRONG = (215, 48, 39)


def unnormalise(images, mean, std):
    """Turn network input back into pixels: the inverse of (x / 255 - mean) / std.

    Args:
        images: float array [..., C], normalised; or uint8 [..., C], which is returned as it is.
        mean: per-channel mean in 0..1, length C.
        std: per-channel standard deviation in 0..1, length C.

    Returns:
        uint8 array of the same shape: rounded to nearest and clipped to 0..255. An image that was only
        normalised comes back bit for bit. NaN becomes 0, so that a broken batch can still be looked at.
    """
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return images
    # float64: in float32 a product can land just beside .5 and round to the neighbouring pixel value.
    pixels = (images.astype(np.float64) * np.asarray(std) + np.asarray(mean)) * 255.0
    return np.clip(np.rint(np.nan_to_num(pixels, nan=0.0, posinf=255.0, neginf=0.0)), 0, 255).astype(np.uint8)


def check_permutations(permutation, name):
    """Return `permutation` as an int array [B, N], or say what is wrong with it.

    Args:
        permutation: int array [B, N]; every row must hold 0..N-1 once.
        name: what to call it in the error.

    Raises:
        ValueError: wrong rank, or a row that is not a permutation.
    """
    array = np.asarray(permutation)
    if array.ndim != 2:
        raise ValueError(f"{name} has shape {array.shape}; expected [B, N], one stripe order per image.")
    bad = np.flatnonzero((np.sort(array, axis=1) != np.arange(array.shape[1])).any(axis=1))
    if bad.size:
        raise ValueError(
            f"{name}[{bad[0]}] is {array[bad[0]].tolist()}; expected each of 0..{array.shape[1] - 1} once. "
            "Read a soft matrix by exact assignment (scipy.optimize.linear_sum_assignment), not by argmax."
        )
    return array.astype(np.int64)


def split_stripes(images, num_stripes):
    """Cut images into horizontal stripes of equal height.

    Args:
        images: array [B, H, W, C].
        num_stripes: N; must divide H.

    Returns:
        View [B, N, H / N, W, C], top stripe first.

    Raises:
        ValueError: N does not divide H.
    """
    batch, height, width, channels = images.shape
    if height % num_stripes:
        raise ValueError(
            f"{num_stripes} stripes do not divide an image height of {height} pixels; expected a multiple. "
            "Use the height and the number of stripes that the images were shuffled with."
        )
    return images.reshape(batch, num_stripes, height // num_stripes, width, channels)


def restore_stripes(images, permutation):
    """Undo a stripe shuffle, bit for bit.

    Slot i of a shuffled image holds original stripe permutation[b, i], so original stripe j lies in slot
    argsort(permutation[b])[j]. With a *recovered* order it builds the image that the network believes in.

    Args:
        images: array [B, H, W, C], stripes shuffled.
        permutation: int array [B, N].

    Returns:
        Array of the shape and dtype of `images`.

    Raises:
        ValueError: not permutations, another number of images, or N does not divide H.
    """
    permutation = check_permutations(permutation, "permutation")
    images = np.asarray(images)
    if len(permutation) != len(images):
        raise ValueError(
            f"Got {len(permutation)} stripe orders for {len(images)} images; expected one order per image."
        )
    stripes = split_stripes(images, permutation.shape[1])
    slots = np.argsort(permutation, axis=1)[:, :, None, None, None]
    return np.take_along_axis(stripes, slots, axis=1).reshape(images.shape)


@functools.cache
def font(size, bold=False):
    """DejaVu Sans in `size` pixels: it comes with matplotlib, so text looks the same on every machine."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size)


def wrap(text, width, face):
    """Break `text` into lines at most `width` pixels wide (a single longer word stays whole)."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and face.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def resize(image, height, width):
    """Resize one uint8 image [H, W, 3] for display; returns a Pillow image."""
    return Image.fromarray(np.ascontiguousarray(image)).resize((width, height), Image.Resampling.BICUBIC)


def display_width(height, image_height, image_width):
    """Width in pixels at which an image shown `height` pixels high keeps its shape, within 48..200."""
    return int(min(200, max(48, round(height * image_width / image_height))))


class Sheet:
    """A white page with a title and notes on top; panels paste and write below `self.top`.

    Args:
        width: page width in pixels.
        body_height: height in pixels of what comes below the title and the notes.
        title: one line in bold.
        notes: sentences in small print, wrapped to the page.
    """

    margin = 16

    def __init__(self, width, body_height, title, notes=()):
        rows = [
            (line, font(20, True), INK, 28) for line in wrap(title, width - 2 * self.margin, font(20, True))
        ]
        for note in notes:
            rows += [(line, font(14), FAINT, 20) for line in wrap(note, width - 2 * self.margin, font(14))]
        self.top = self.margin + sum(row[3] for row in rows) + 12
        self.image = Image.new("RGB", (width, math.ceil(self.top + body_height + self.margin)), PAPER)
        self.draw = ImageDraw.Draw(self.image)
        y = self.margin
        for text, face, colour, line_height in rows:
            self.draw.text((self.margin, y), text, font=face, fill=colour)
            y += line_height

    def text(self, x, y, text, size=13, colour=INK, bold=False, anchor="mm"):
        """Write `text` at (x, y); `anchor` is Pillow's, "mm" is the middle."""
        self.draw.text((x, y), text, font=font(size, bold), fill=colour, anchor=anchor)

    def array(self):
        """The finished page, uint8 [H, W, 3]."""
        return np.array(self.image)


def write_png(array, path):
    """Write an image so that `path` holds either the old picture or the whole new one, never a piece.

    Args:
        array: uint8 array [H, W, 3].
        path: where to; missing directories are made.

    Raises:
        ValueError: not a uint8 RGB image.
        OSError: the disk is full or not writable; the old picture, if any, is untouched.
    """
    array = np.asarray(array)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[-1] != 3:
        raise ValueError(
            f"Got {array.dtype} {array.shape}; expected a uint8 image [H, W, 3]. Un-normalise it first."
        )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        Image.fromarray(array).save(temporary, format="PNG")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
