"""Which colours the training images have: what colorization asks before its network is made."""

import functools

import numpy as np

from mmgl_tf.losses.colours.bins import counts_in_bins, data_driven_bins, grid_histogram, read_bins
from mmgl_tf.losses.colours.prior import colour_prior, rebalancing_weights
from mmgl_tf.pipelines.augmentation.lab import lab_of

# Of SYSU-MM01's 22,258 visible images; at 288 x 144 pixels these have five million values.
MOST_IMAGES = 2000
EVERY = 4  # of the pixels in both axes, as the targets are
GREY = 5.0  # an image without any a or b beyond it has no colour
_LEVELS = 3  # step of the lattice of sRGB colours, which then has the 261 grid points of the whole cube


def colour_survey(images, bins_file="", rebalance=0.5):
    """Bins, their prior and weights.

    Args:
        images: iterable of uint8 [H, W, 1 or 3].
        bins_file: of the bins, see `read_bins`; "" = those that the images' pixels fall into, and their
            neighbours, see `data_driven_bins`.
        rebalance: gamma of `rebalancing_weights`.

    Returns:
        {"bins": float32 [Q, 2]; "prior": float32 [Q]; "weights": float32 [Q]; "mean_weight": scalar, of the
        images' pixels, those of grey images counting as 0: flat scores cost that times ln Q; "images": how
        many were looked at}.

    Raises:
        ValueError: no image, or see `read_bins`.
    """
    histogram, coloured, count = np.zeros_like(_all_of_srgb()), np.zeros_like(_all_of_srgb()), 0
    for image in images:
        ab = lab_of(image[::EVERY, ::EVERY])[..., 1:]
        own = grid_histogram(ab)
        histogram += own
        coloured += own * (np.abs(ab).max() > GREY)
        count += 1
    bins = read_bins(bins_file) if bins_file else data_driven_bins(histogram, _all_of_srgb())
    prior = colour_prior(counts_in_bins(histogram, bins), bins)
    weights = rebalancing_weights(prior, rebalance)
    return {
        "bins": bins,
        "prior": prior.astype(np.float32),
        "weights": weights,
        "mean_weight": np.float32(counts_in_bins(coloured, bins) @ weights / histogram.sum()),
        "images": np.int64(count),
    }


def unsurveyed_colours(bins_file=""):
    """The same where no image was looked at: all bins that sRGB has, equally common.

    Args:
        bins_file: as above.
    """
    bins = read_bins(bins_file) if bins_file else data_driven_bins(_all_of_srgb(), _all_of_srgb())
    even = np.full(len(bins), 1.0 / len(bins), np.float32)
    return {
        "bins": bins,
        "prior": even,
        "weights": np.ones_like(even),
        "mean_weight": np.float32(1.0),
        "images": np.int64(0),
    }


@functools.cache
def _all_of_srgb():
    """Histogram of a lattice of all sRGB colours."""
    levels = np.arange(0, 256, _LEVELS, dtype=np.uint8)
    lattice = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)
    return grid_histogram(lab_of(lattice.reshape(len(levels), -1, 3))[..., 1:])
