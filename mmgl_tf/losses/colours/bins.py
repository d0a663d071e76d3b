"""The colours that colorization tells apart: bins of the ab plane, and what an ab value is among them.

Zhang et al. (2016) put bins on a grid of 10 units and keep the 313 "in gamut". That number follows from no
test of the gamut that we tried: of the grid's points 261 are nearest to some sRGB colour. So the bins come
from the data, or from a file.

Legend: n pixels, Q bins. a and b are CIE Lab's (D65), some -86..98 and -108..94 for sRGB.
"""

import numpy as np
import tensorflow as tf

SPACING = 10.0
_REACH = 11  # grid points on each side of 0; sRGB reaches 10.8
GRID = 2 * _REACH + 1


def grid_histogram(ab):
    """Counts ab values at the nearest point of the grid; histograms of several images add up.

    Args:
        ab: float [..., 2], a and b.

    Returns:
        int64 [23, 23], rows by a and columns by b, from -110 to 110 in steps of 10.

    Raises:
        ValueError: values that no sRGB colour has.
    """
    places = np.rint(np.asarray(ab, np.float64).reshape(-1, 2) / SPACING)
    if not (np.abs(places) <= _REACH).all():  # not NaN either
        raise ValueError(
            f"grid_histogram got ab values up to {np.abs(np.asarray(ab)).max():.4g}; expected those of sRGB "
            "colours, within 108. Convert RGB in [0, 255] to CIE Lab first."
        )
    rows, columns = (places.astype(np.int64) + _REACH).T
    return np.bincount(rows * GRID + columns, minlength=GRID * GRID).reshape(GRID, GRID)


def data_driven_bins(training, cube):
    """The bins that training pixels fall into, and their neighbours as far as sRGB has such colours.

    Args:
        training: int [23, 23], `grid_histogram` of the training images' pixels.
        cube: int [23, 23], `grid_histogram` of the sRGB cube (every colour, or a fine lattice of them).

    Returns:
        float32 [Q, 2], the bins' a and b, ascending; at most 261.

    Raises:
        ValueError: a histogram of another shape, or no training pixel.
    """
    training, cube = np.asarray(training) > 0, np.asarray(cube) > 0
    if training.shape != (GRID, GRID) or cube.shape != (GRID, GRID) or not training.any():
        raise ValueError(
            f"data_driven_bins got histograms of shape {training.shape} and {cube.shape} with "
            f"{training.sum()} training bins in use; expected [{GRID}, {GRID}] twice, from grid_histogram, "
            "and at least one training pixel."
        )
    near, padded = np.zeros_like(training), np.pad(training, 1)
    for row in range(3):
        for column in range(3):
            near |= padded[row : row + GRID, column : column + GRID]
    return ((np.argwhere(training | (near & cube)) - _REACH) * SPACING).astype(np.float32)


def read_bins(path):
    """Bins from a file, such as the 313 of Zhang et al.

    Args:
        path: an .npy file with a numeric array [Q, 2], a and b of each bin.

    Returns:
        float32 [Q, 2], in the file's order.

    Raises:
        ValueError: an array of another shape or type, values outside of the ab plane, or equal bins.
    """
    bins = np.load(path, allow_pickle=False)
    numeric = isinstance(bins, np.ndarray) and bins.dtype.kind in "iuf"
    if not numeric or bins.ndim != 2 or bins.shape[1] != 2 or len(bins) < 2:
        found = f"{bins.dtype} {bins.shape}" if isinstance(bins, np.ndarray) else "an archive of arrays"
        raise ValueError(
            f"{path} holds {found}; expected the bins' a and b as numbers [Q, 2], at least two bins. Save it "
            "with numpy.save."
        )
    bins = bins.astype(np.float32)
    if not (np.abs(bins) <= 128.0).all() or len(np.unique(bins, axis=0)) != len(bins):
        raise ValueError(
            f"{path} holds bins beyond -128..128, or the same one twice; expected different points of the ab "
            "plane. Neither indices nor values scaled to 0..1 or -1..1 will do."
        )
    return bins


def counts_in_bins(histogram, bins):
    """Pixels of a histogram that fall into each bin, every point of the grid in the bin nearest to it.

    Args:
        histogram: int [23, 23], from `grid_histogram`.
        bins: float [Q, 2].

    Returns:
        int64 [Q]; the sum is the histogram's.
    """
    used = np.argwhere(histogram)
    points = (used - _REACH) * SPACING
    distances = np.square(points[:, None] - np.asarray(bins, np.float64)).sum(axis=-1)
    counts = np.zeros(len(bins), np.int64)
    np.add.at(counts, distances.argmin(axis=1), np.asarray(histogram)[tuple(used.T)])
    return counts


def soft_encoding(ab, bins, neighbours=5, sigma=5.0):
    """An ab value as a distribution over the bins nearest to it (Zhang et al., section 2.2).

        Z_q ~ exp(-|ab - bin_q|^2 / (2 sigma^2)) for the `neighbours` nearest bins, else 0;  sum_q Z_q = 1

    Bins exactly as far as the last of the nearest are in as well, so that the order of bins does not matter.

    Choice: the paper takes 5 neighbours, its code 10.

    Args:
        ab: float [..., 2].
        bins: float [Q, 2].
        neighbours: 1 to Q.
        sigma: in units of a and b.

    Returns:
        (float32 [..., Q], float64 for float64 ab; int32 [...], the nearest bin, which is where Z is largest).

    Raises:
        ValueError: neighbours or sigma out of range.
    """
    ab = tf.convert_to_tensor(ab)
    ab = ab if ab.dtype == tf.float64 else tf.cast(ab, tf.float32)
    bins = tf.cast(bins, ab.dtype)
    count = bins.shape[0]
    if not 1 <= neighbours <= count or sigma <= 0.0:
        raise ValueError(
            f"soft_encoding got neighbours={neighbours}, sigma={sigma}; expected 1 to {count} neighbours, "
            "the number of bins, and a positive sigma."
        )
    # Differences first: |x|^2 + |y|^2 - 2 x.y would lose the digits that order near bins.
    squares = tf.square(ab[..., :1] - bins[:, 0]) + tf.square(ab[..., 1:] - bins[:, 1])
    nearest, places = tf.math.top_k(-squares, neighbours)
    # From the nearest bin on, so that a value far from all bins does not divide 0 by 0.
    weights = tf.exp((-squares - nearest[..., :1]) / (2.0 * sigma**2))
    weights = tf.where(-squares >= nearest[..., -1:], weights, 0.0)
    return weights / tf.reduce_sum(weights, axis=-1, keepdims=True), places[..., 0]


def annealed_mean(logits, bins, temperature=0.38):
    """The colour of a distribution over bins: its mean after sharpening (Zhang et al., Eq. 5).

    At temperature 1 the mean is greyish, towards 0 it is the likeliest bin, spotty.

    Args:
        logits: float [..., Q].
        bins: float [Q, 2].
        temperature: positive; the paper's 0.38.

    Returns:
        float32 [..., 2], a and b.
    """
    shares = tf.nn.softmax(tf.cast(logits, tf.float32) / temperature, axis=-1)
    return tf.tensordot(shares, tf.cast(bins, tf.float32), axes=1)
