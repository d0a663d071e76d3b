import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.colours.bins import (
    annealed_mean,
    counts_in_bins,
    data_driven_bins,
    grid_histogram,
    read_bins,
    soft_encoding,
)


def slow_lab(rgb):
    """One sRGB colour in [0, 1] as CIE Lab (D65), as the standard reads."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    matrix = [(0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505)]
    xyz = [sum(m * c for m, c in zip(row, linear, strict=True)) for row in matrix]
    x, y, z = (
        v ** (1 / 3) if v > (6 / 29) ** 3 else v / (3 * (6 / 29) ** 2) + 4 / 29
        for v in (xyz[0] / 0.95047, xyz[1], xyz[2] / 1.08883)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.fixture(scope="module")
def cube():
    """Histogram of a lattice of the sRGB cube."""
    levels = np.linspace(0, 1, 18)
    colours = [slow_lab((r, g, b))[1:] for r in levels for g in levels for b in levels]
    return grid_histogram(np.array(colours))


def slow_encoding(ab, bins, neighbours, sigma):
    squares = [float((ab[0] - a) ** 2 + (ab[1] - b) ** 2) for a, b in bins]
    chosen = sorted(range(len(bins)), key=squares.__getitem__)[:neighbours]
    weights = np.zeros(len(bins))
    for q in chosen:
        weights[q] = np.exp(-squares[q] / (2 * sigma**2))
    return weights / weights.sum(), chosen[0]


def grid_bins():
    return np.array([(a, b) for a in range(-30, 40, 10) for b in range(-20, 30, 10)], "float32")


def test_histogram_counts_each_value_at_its_nearest_point():
    ab = np.array([[(0.0, 0.0), (4.9, -4.9), (5.1, 0.0)], [(-86.2, 94.4), (98.2, -107.9), (0.0, 0.0)]])
    counts = grid_histogram(ab)
    assert counts.shape == (23, 23)
    assert counts.sum() == 6
    found = {
        (10 * (row - 11), 10 * (column - 11)): counts[row, column] for row, column in np.argwhere(counts)
    }
    assert found == {(0, 0): 3, (10, 0): 1, (-90, 90): 1, (100, -110): 1}
    np.testing.assert_array_equal(grid_histogram(ab[0]) + grid_histogram(ab[1]), counts)


@pytest.mark.parametrize("value", [128.0, np.nan])
def test_what_is_no_colour_is_refused(value):
    with pytest.raises(ValueError, match="expected those of sRGB colours"):
        grid_histogram(np.array([[0.0, value]]))


def test_bins_of_the_whole_cube(cube):
    """The spec's count for every sRGB colour is 260 or 261; a lattice of 18 levels misses a few corners."""
    bins = data_driven_bins(cube, cube)
    assert 250 <= len(bins) <= 261
    assert (bins % 10 == 0).all()
    assert len(np.unique(bins, axis=0)) == len(bins)


def test_bins_are_those_of_the_data_and_their_neighbours_in_the_cube(cube):
    training = grid_histogram(np.array([(0.0, 0.0), (1.0, 2.0), (80.0, 60.0)]))
    bins = {tuple(row) for row in data_driven_bins(training, cube).tolist()}
    around = {(a, b) for a in (-10, 0, 10) for b in (-10, 0, 10)}
    corner = {(a, b) for a in (70, 80, 90) for b in (50, 60, 70)}
    assert around < bins
    assert (80, 60) in bins
    # Of the corner's neighbours those of the cube alone.
    in_cube = {(10 * (r - 11), 10 * (c - 11)) for r, c in np.argwhere(cube)}
    assert bins - around == (corner & in_cube) | {(80, 60)}
    assert corner - in_cube  # and that is a choice
    np.testing.assert_array_equal(data_driven_bins(7 * training, cube), data_driven_bins(training, cube))


def test_a_training_colour_outside_of_the_cubes_lattice_stays_a_bin():
    training, cube = np.zeros((2, 23, 23), int)
    training[0, 22] = 1
    cube[5, 5] = cube[1, 21] = 1
    np.testing.assert_array_equal(data_driven_bins(training, cube), [(-110, 110), (-100, 100)])


def test_no_training_pixels_is_an_error(cube):
    with pytest.raises(ValueError, match="0 training bins in use"):
        data_driven_bins(np.zeros((23, 23)), cube)


def test_counts_go_to_the_nearest_bin(cube):
    bins = data_driven_bins(cube, cube)
    on_grid = cube[tuple((bins / 10 + 11).astype(int).T)]
    np.testing.assert_array_equal(counts_in_bins(cube, bins), on_grid)
    few = np.array([(-40.0, 0.0), (33.0, 5.0), (0.0, 90.0)])
    counts = counts_in_bins(cube, few)
    assert counts.sum() == cube.sum()
    expected = np.zeros(3, int)
    for row, column in np.argwhere(cube):
        point = 10.0 * (np.array([row, column]) - 11)
        expected[np.argmin([np.sum((point - b) ** 2) for b in few])] += cube[row, column]
    np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(("neighbours", "sigma"), [(5, 5.0), (10, 5.0), (1, 5.0), (35, 20.0)])
def test_encoding_follows_the_slow_version(neighbours, sigma, jit):
    bins = grid_bins()
    ab = np.random.RandomState(0).uniform(-35, 35, (2, 3, 4, 2)).astype("float32")
    found, nearest = tf.function(
        lambda x: soft_encoding(x, bins, neighbours, sigma), jit_compile=jit, autograph=False
    )(ab)
    assert found.shape == (2, 3, 4, 35)
    for place in np.ndindex(2, 3, 4):
        expected, first = slow_encoding(ab[place].astype("float64"), bins, neighbours, sigma)
        np.testing.assert_allclose(found[place], expected, atol=1e-5)
        assert nearest[place].numpy() == first == np.argmax(found[place])
    np.testing.assert_allclose(tf.reduce_sum(found, axis=-1), 1.0, atol=1e-6)


def test_equally_near_bins_count_alike_whatever_their_order():
    bins = grid_bins()
    encoding, _ = soft_encoding(np.array([5.0, 5.0]), bins, neighbours=3)
    np.testing.assert_allclose(np.sort(encoding)[-5:], [0, 0.25, 0.25, 0.25, 0.25], atol=1e-7)
    order = np.random.RandomState(0).permutation(len(bins))
    ab = np.random.RandomState(1).uniform(-30, 30, (50, 2))
    ab[0] = (5, 5)
    again, _ = soft_encoding(ab, bins[order], neighbours=3)
    np.testing.assert_allclose(again, soft_encoding(ab, bins, neighbours=3)[0].numpy()[:, order], atol=1e-7)


def test_a_colour_far_from_every_bin_goes_to_the_nearest():
    encoding, nearest = soft_encoding(np.array([[-110.0, 110.0]]), grid_bins(), neighbours=5)
    assert np.isfinite(encoding).all()
    np.testing.assert_array_equal(grid_bins()[nearest[0]], (-30, 20))
    assert encoding.numpy()[0, nearest[0]] > 0.9


def test_half_precision_is_raised_first():
    encoding, _ = soft_encoding(tf.constant([[3.0, 4.0]], tf.float16), grid_bins())
    assert encoding.dtype == tf.float32
    np.testing.assert_allclose(encoding[0], slow_encoding((3, 4), grid_bins(), 5, 5.0)[0], atol=1e-6)


def test_annealed_mean():
    bins, logits = grid_bins(), np.random.RandomState(0).randn(2, 3, 35)
    for temperature in (1.0, 0.38):
        shares = np.exp(logits / temperature)
        shares /= shares.sum(axis=-1, keepdims=True)
        found = annealed_mean(logits, bins, temperature)
        np.testing.assert_allclose(found, np.einsum("abq,qd->abd", shares, bins), atol=1e-4)
    np.testing.assert_allclose(annealed_mean(logits, bins, 1e-3), bins[logits.argmax(axis=-1)], atol=0.1)


def test_bins_of_a_file(tmp_path):
    path = tmp_path / "bins.npy"
    np.save(path, grid_bins().astype("int64"))
    found = read_bins(path)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, grid_bins())


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.zeros((4, 3)), r"float64 \(4, 3\)"),
        (np.array([["a", "b"], ["c", "d"]]), r"expected the bins' a and b as numbers"),
        (np.zeros((1, 2)), r"at least two bins"),
        (np.array([(0, 0), (10, 200)]), r"beyond -128\.\.128"),
        (np.array([(0.0, 0.0), (10.0, np.nan)]), r"beyond -128\.\.128"),
        (np.array([(10, 0), (0, 10), (10, 0)]), "the same one twice"),
    ],
)
def test_a_wrong_file_says_what_was_expected(tmp_path, array, what):
    np.save(tmp_path / "bins.npy", array)
    with pytest.raises(ValueError, match=rf"bins\.npy holds .*{what}"):
        read_bins(tmp_path / "bins.npy")


def test_an_archive_is_no_array(tmp_path):
    np.savez(tmp_path / "bins.npz", grid_bins())
    with pytest.raises(ValueError, match=r"holds an archive of arrays"):
        read_bins(tmp_path / "bins.npz")


@pytest.mark.parametrize("arguments", [{"neighbours": 0}, {"neighbours": 36}, {"sigma": 0.0}])
def test_wrong_neighbours_and_sigma_are_refused(arguments):
    with pytest.raises(ValueError, match="expected 1 to 35 neighbours"):
        soft_encoding(np.zeros((1, 2)), grid_bins(), **arguments)
