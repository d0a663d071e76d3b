"""Average pooling into horizontal stripes of any number, whether or not it divides the rows.

Legend: B images, P stripes, H W rows and columns of the feature map, C channels.
"""

import tensorflow as tf


def adaptive_stripes(feature_map, count):
    """Means of P bands of rows, over all columns: band p has the rows floor(p H / P) to ceil((p + 1) H / P).

    Where P does not divide H, neighbouring bands share a row, as PyTorch's adaptive pooling has it.

    Args:
        feature_map: float [B, H, W, C], H known.
        count: P, from 1 to H.

    Returns:
        [B, P, C], dtype of `feature_map`.

    Raises:
        ValueError: unknown rows, or fewer of them than stripes.
    """
    rows = feature_map.shape[1]
    if rows is None or not 1 <= count <= rows:
        raise ValueError(
            f"adaptive_stripes got {count} stripes for a feature map of shape {tuple(feature_map.shape)}; "
            "expected a known number of rows and from 1 to as many stripes."
        )
    bands = [(p * rows // count, -(-(p + 1) * rows // count)) for p in range(count)]
    return tf.stack([tf.reduce_mean(feature_map[:, a:b], axis=[1, 2]) for a, b in bands], axis=1)
