"""A grey rendering of normalised images, VCD's bridge between the modalities (Tian et al., 2021).

Legend: B images, H W rows and columns.
"""

import tensorflow as tf

_RED, _GREEN, _BLUE = 0.2989, 0.5870, 0.1140


def grey_image(images):
    """Luma of each pixel on three equal channels: 0.2989 R + 0.5870 G + 0.1140 B.

    Of images as the network gets them, so of channels with mean and deviation taken away: not the grey that a
    camera would see. Infrared images go through it too. A constant: no gradient flows back to the images.

    Args:
        images: float [B, H, W, 3].

    Returns:
        The shape and dtype of `images`.
    """
    red, green, blue = tf.unstack(tf.stop_gradient(images), axis=-1)
    luma = _RED * red + _GREEN * green + _BLUE * blue
    return tf.stack([luma, luma, luma], axis=-1)
