"""Encoded bytes -> resized uint8 image -> normalised float: one function for training, evaluation and export.

Whatever reads an image calls `decode_image`, so a served embedding cannot drift from a trained one.
Everything here is made of TensorFlow operations and can be traced into a serving graph.
"""

import numpy as np
import tensorflow as tf

# ImageNet statistics of images scaled to [0, 1], used for both modalities by every published baseline.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
# normalise(x) = x * SCALE + SHIFT for x in 0..255.
SCALE = (1.0 / (255.0 * np.array(STD))).astype(np.float32)
SHIFT = (-np.array(MEAN) / np.array(STD)).astype(np.float32)

# What --resize selects, by TensorFlow's names; all with antialiasing.
FILTERS = {"lanczos": "lanczos3", "bilinear": "bilinear"}
# Raise when any pixel that `decode_image` returns may change: cached images are then made anew.
DECODER_VERSION = 1


def decode_pixels(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes an image file at its own size.

    The format is told from the content, never from the file name. JPEG is decoded with the accurate
    integer DCT, which equals libjpeg's default (hence Pillow and OpenCV) bit for bit; TensorFlow's own
    default agrees for a third of the values only.

    Choice: what Pillow's `convert("RGB")` does. Transparency is dropped, not composited; CMYK and grey
    become RGB; of an animation the first frame is taken; EXIF orientation is ignored. 16-bit PNG keeps
    the high byte, where Pillow would clip it to white.

    Args:
        encoded: string scalar, the bytes of a JPEG, PNG, BMP (8, 24 or 32 bits per pixel), GIF or WebP file.

    Returns:
        uint8 [H, W, 3], red first.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are empty, truncated or no such image.
    """
    encoded = tf.convert_to_tensor(encoded)
    # tf.io.decode_image cannot be told which DCT to use, nor does it know the palette of a BMP file.
    pixels = tf.case(
        [
            (
                tf.image.is_jpeg(encoded),
                lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
            ),
            (_is_palette_bitmap(encoded), lambda: _decode_palette_bitmap(encoded)),
        ],
        default=lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
        exclusive=True,
    )
    return tf.ensure_shape(pixels, (None, None, 3))


def _is_palette_bitmap(encoded):
    """Whether a BMP file has 8 bits per pixel (bytes 28 and 29 of its header)."""
    is_bitmap = tf.equal(tf.strings.substr(encoded, 0, 2), b"BM")
    long_enough = tf.strings.length(encoded) >= 54
    # substr beyond the end is an error, hence the clamp; too short a file is left to decode_image.
    position = tf.where(long_enough, 28, 0)
    length = tf.where(long_enough, 2, 0)
    return is_bitmap & tf.equal(tf.strings.substr(encoded, position, length), b"\x08\x00")


def _decode_palette_bitmap(encoded):
    """BMP with a colour table: TensorFlow returns the table's indices as if they were grey levels."""

    def word(position):
        return tf.io.decode_raw(tf.strings.substr(encoded, position, 4), tf.int32)[0]

    first_pixel, table = word(10), 14 + word(14)
    colours = tf.io.decode_raw(tf.strings.substr(encoded, table, first_pixel - table), tf.uint8)
    colours = tf.reshape(colours, (-1, 4))[:, 2::-1]  # stored blue, green, red, reserved
    indices = tf.io.decode_bmp(encoded, channels=0)[..., 0]
    return tf.gather(colours, tf.cast(indices, tf.int32))


def decode_image(encoded: tf.Tensor, height: int, width: int, resize: str = "lanczos") -> tf.Tensor:
    """Decodes and resizes an image: by a filter with antialiasing, rounded and clipped.

    Args:
        encoded: string scalar, see `decode_pixels`.
        height: rows wanted, in pixels.
        width: columns wanted, in pixels.
        resize: key of `FILTERS`.

    Returns:
        uint8 [height, width, 3], red first, within one level of Pillow's filter for 99 % of the values.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are empty, truncated or no such image.
        ValueError: a filter of another name.
    """
    return decode_with_grey(encoded, height, width, resize)[0]


def decode_with_grey(
    encoded: tf.Tensor, height: int, width: int, resize: str = "lanczos"
) -> tuple[tf.Tensor, tf.Tensor]:
    """`decode_image`, and whether the file's three channels are equal, so that one of them says it all.

    Equal channels are resized once, not thrice: the same pixels in three quarters of the time.

    Returns:
        (uint8 [height, width, 3], bool scalar).
    """
    pixels = decode_pixels(encoded)
    grey = tf.reduce_all(tf.equal(pixels[..., :1], pixels[..., 1:]))
    image = tf.cond(
        grey,
        lambda: tf.repeat(_resize(pixels[..., :1], height, width, resize), 3, axis=-1),
        lambda: _resize(pixels, height, width, resize),
    )
    return tf.ensure_shape(image, (height, width, 3)), grey


def _resize(pixels, height, width, resize):
    if resize not in FILTERS:
        raise ValueError(f"--resize={resize}: expected one of {', '.join(FILTERS)}.")
    method = FILTERS[resize]
    resized = tf.image.resize(tf.cast(pixels, tf.float32), (height, width), method=method, antialias=True)
    # Lanczos overshoots at edges, hence the clipping.
    return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)


def normalise(images: tf.Tensor) -> tf.Tensor:
    """Maps pixels to zero mean and unit variance by ImageNet's statistics: (x / 255 - MEAN) / STD.

    Args:
        images: uint8 or float [..., 3] in 0..255, red first.

    Returns:
        float32 of the same shape; a black pixel becomes (-2.117904, -2.035714, -1.804444).
    """
    return tf.cast(images, tf.float32) * SCALE + SHIFT
