"""The images of the reference's golden numbers."""

import numpy as np


def drawn_images(seed, batch=2, height=96, width=48):
    """Normal images as the golden numbers have them: drawn channels first, [B, H, W, 3]."""
    images = np.random.RandomState(seed).randn(batch, 3, height, width).astype("float32")
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))


def both(batch=2, other=2, height=96, width=48):
    return {
        "visible": drawn_images(11, batch, height, width),
        "infrared": drawn_images(12, other, height, width),
    }
