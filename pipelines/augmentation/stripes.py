"""Stripe shuffling: cutting an image into horizontal stripes and putting them in another order.

Convention (paper figure 2): shuffled slot i shows original stripe order[i], so
`shuffled = gather(stripes(image), order)`, and the ground-truth matrix has P[i, order[i]] = 1.
"""

import numpy as np


def stripe_height(height: int, num_stripes: int) -> int:
    """Rows of one stripe.

    Args:
        height: image rows.
        num_stripes: stripes, N.

    Returns:
        height / num_stripes.

    Raises:
        ValueError: the stripes do not divide the image.
    """
    if num_stripes < 1 or height % num_stripes:
        valid = [count for count in range(2, height // 2 + 1) if height % count == 0]
        raise ValueError(
            f"{num_stripes} stripes do not divide an image of {height} rows. "
            f"Set --num_stripes to one of {valid}, or change --image_height."
        )
    return height // num_stripes


def shuffle_stripes(images: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Puts stripe order[b, i] of image b into slot i.

    Args:
        images: [B, H, W, C], any type.
        order: integers [B, N], a permutation of 0..N-1 in each row; N divides H.

    Returns:
        [B, H, W, C] of the same type.

    Raises:
        ValueError: N does not divide H.
    """
    images, order = np.asarray(images), np.asarray(order)
    batch, height, width, channels = images.shape
    rows = stripe_height(height, order.shape[1])
    cut = images.reshape(batch, order.shape[1], rows, width, channels)
    return np.take_along_axis(cut, order[:, :, None, None, None], axis=1).reshape(images.shape)


def unshuffle_stripes(images: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Undoes `shuffle_stripes`: puts slot i back to place order[b, i].

    Args:
        images: [B, H, W, C], shuffled.
        order: integers [B, N], as given to `shuffle_stripes`, or as a network recovered it.

    Returns:
        [B, H, W, C] of the same type.

    Raises:
        ValueError: N does not divide H.
    """
    return shuffle_stripes(images, np.argsort(order, axis=1))
