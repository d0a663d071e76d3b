"""Colorization as classification (Zhang et al., 2016): the colour of each pixel, rare ones weighing more.

Legend: B images, h w rows and columns of predictions, Q bins.
"""

import tensorflow as tf

from mmgl_tf.losses.colours.bins import soft_encoding


def colour_rows(logits, ab, bins, weights, neighbours=5, sigma=5.0, grey=5.0):
    """What colorization's loss and accuracy need of every image, a number each.

    With Z the soft encoding of a pixel's colour, p the softmax of its logits, q* its nearest bin:

        plain     mean over pixels of -sum_q Z_q log p_q
        weighted  mean over pixels of w_q* (-sum_q Z_q log p_q); 0 for a grey image
        right     mean over pixels of w_q* [argmax p = q*]
        weight    mean over pixels of w_q*
        grey      1 for a grey image, else 0

    An image is grey if |a| and |b| exceed `grey` at none of its pixels here: it says nothing of colour. The
    loss is the mean of `weighted` over all images, grey ones included, which is what the released code
    descends: it puts the weights into the gradient, and what it *logs* is the mean of `plain`. Both are here.

    Rows rather than means, so that an image's logits never leave its replica: they are the largest tensor.

    Args:
        logits: float [B, h, w, Q].
        ab: float [B, h, w, 2], the images' colours at the predicted pixels: every fourth, not averaged.
        bins: float [Q, 2].
        weights: float [Q], from `rebalancing_weights`.
        neighbours: see `soft_encoding`.
        sigma: see `soft_encoding`.
        grey: in units of a and b.

    Returns:
        dict of float32 [B] (float64 for float64 logits): "plain", "weighted", "right", "weight" and "grey".
        Chance for `plain` is ln Q.

    Raises:
        ValueError: logits and bins of different numbers, or logits and colours of different sizes.
    """
    logits = tf.convert_to_tensor(logits)
    dtype = tf.float64 if logits.dtype == tf.float64 else tf.float32
    logits, ab, bins, weights = (tf.cast(value, dtype) for value in (logits, ab, bins, weights))
    count = bins.shape[0]
    if logits.shape[-1] != count or logits.shape[1:3] != ab.shape[1:3]:
        raise ValueError(
            f"colour_rows got logits of shape {tuple(logits.shape)} for colours of shape {tuple(ab.shape)} "
            f"and {count} bins; expected [B, h, w, {count}] and [B, h, w, 2]. Give the colour head as many "
            "bins, and take every fourth pixel's colour of the same image."
        )
    encoding, nearest = soft_encoding(ab, bins, neighbours, sigma)
    entropy = tf.nn.softmax_cross_entropy_with_logits(labels=tf.stop_gradient(encoding), logits=logits)
    weight = tf.gather(weights, nearest)
    right = tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32) == nearest, dtype)
    coloured = tf.cast(tf.reduce_max(tf.abs(ab), axis=[1, 2, 3]) > grey, dtype)

    def mean(pixels):
        return tf.reduce_mean(pixels, axis=[1, 2])

    return {
        "plain": mean(entropy),
        "weighted": coloured * mean(weight * entropy),
        "right": mean(weight * right),
        "weight": mean(weight),
        "grey": 1.0 - coloured,
    }


def rebalanced_accuracy(right, weight):
    """The share of pixels whose likeliest bin is the right one, rare colours weighing more.

    Args:
        right: float32 [B], from `colour_rows`.
        weight: float32 [B].

    Returns:
        float32 scalar in [0, 1]. `best_constant` is what naming always the same bin gets.
    """
    return tf.math.divide_no_nan(tf.reduce_sum(right), tf.reduce_sum(weight))
