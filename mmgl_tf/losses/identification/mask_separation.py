"""MPANet's separation of patterns (Wu et al., 2021): no two masks look at the same place.

Legend: B images, H W rows and columns of the feature map, P masks.
"""

import tensorflow as tf

from mmgl_tf.losses.full_precision import at_least_float32


def mask_separation(masks):
    """How much the masks of an image overlap, over all pairs of them.

        value_i = 2 / (P (P - 1)) sum_{p < q} sum_{h, w} M_ihwp M_ihwq

    A sum over places, not a mean: masks of 1/2 everywhere, a network that knows nothing, cost H W / 4, 48 at
    24 x 8. Masks that share no place cost 0.

    Args:
        masks: float [B, H, W, P] in [0, 1], P at least 2.

    Returns:
        [B], at least 0, float32 (float64 for float64 masks), a value for each image; the loss is their mean.

    Raises:
        ValueError: fewer than two masks.
    """
    masks = at_least_float32(masks)
    count = masks.shape[-1]
    if len(masks.shape) != 4 or count is None or count < 2:
        raise ValueError(
            f"mask_separation got masks of shape {tuple(masks.shape)}; expected [B, H, W, P] with P of at "
            "least 2, such as 6."
        )
    # Each mask times the sum of those before it: all pairs once, and nothing cancels, as it would in the
    # square of the sum minus the sum of the squares.
    before = tf.cumsum(masks, axis=-1, exclusive=True)
    return tf.reduce_sum(masks * before, axis=[1, 2, 3]) * (2.0 / (count * (count - 1)))
