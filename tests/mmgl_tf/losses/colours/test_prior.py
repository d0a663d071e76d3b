import numpy as np
import pytest

from mmgl_tf.losses.colours.prior import best_constant, colour_prior, rebalancing_weights


def grid_bins():
    return np.array([(a, b) for a in range(-30, 40, 10) for b in range(-20, 30, 10)], "float32")


def drawn_counts():
    counts = np.random.RandomState(0).poisson(np.linspace(0, 40, 35))
    counts[17] = 100_000  # grey
    return counts


def slow_prior(counts, bins, sigma):
    """Hands every bin's share out to itself and its neighbours."""
    prior = np.zeros(len(bins))
    for r, share in enumerate(counts / counts.sum()):
        weights = []
        for q in range(len(bins)):
            square = (bins[q][0] - bins[r][0]) ** 2 + (bins[q][1] - bins[r][1]) ** 2
            near = abs(bins[q][0] - bins[r][0]) <= 10 and abs(bins[q][1] - bins[r][1]) <= 10
            weights.append(np.exp(-square / (2 * sigma**2)) if near else 0.0)
        prior += share * np.array(weights) / sum(weights)
    return prior


@pytest.mark.parametrize("sigma", [5.0, 12.0])
def test_prior_follows_the_slow_version(sigma):
    counts, bins = drawn_counts(), grid_bins().astype("float64")
    prior = colour_prior(counts, bins, sigma)
    np.testing.assert_allclose(prior, slow_prior(counts, bins, sigma), rtol=1e-12)
    assert prior.sum() == pytest.approx(1.0)


def test_smoothing_reaches_neighbours_and_no_further():
    counts = np.zeros(35)
    counts[17] = 9
    prior, bins = colour_prior(counts, grid_bins()), grid_bins()
    centre, side, corner = 1.0, np.exp(-2.0), np.exp(-4.0)
    total = centre + 4 * side + 4 * corner
    assert bins[17].tolist() == [0, 0]
    assert prior[17] == pytest.approx(centre / total)
    assert prior[18] == pytest.approx(side / total)
    assert prior[23] == pytest.approx(corner / total)
    assert (prior > 0).sum() == 9
    np.testing.assert_array_equal(colour_prior(counts, bins, sigma=0), counts / 9)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
def test_weights_follow_the_formula_and_are_one_on_average(gamma):
    prior = colour_prior(drawn_counts(), grid_bins())
    weights = rebalancing_weights(prior, gamma)
    assert weights.dtype == np.float32
    raw = [1 / ((1 - gamma) * p + gamma / 35) for p in prior]
    np.testing.assert_allclose(weights, raw / sum(p * r for p, r in zip(prior, raw, strict=True)), rtol=1e-6)
    assert prior @ weights == pytest.approx(1.0, rel=1e-6)
    assert (np.diff(weights[np.argsort(prior)]) <= 0).all()  # the rarer the heavier


def test_uniform_part_goes_to_bins_that_occur_only():
    prior = np.array([0.7, 0.0, 0.2, 0.1, 0.0])
    weights = rebalancing_weights(prior, 0.5)
    raw = 1 / (0.5 * np.array([0.7, 0.2, 0.1]) + 0.5 / 3)
    expected = raw / (raw @ [0.7, 0.2, 0.1])
    np.testing.assert_allclose(weights[[0, 2, 3]], expected, rtol=1e-6)
    np.testing.assert_array_equal(weights[[1, 4]], weights[3])
    assert prior @ weights == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
def test_extreme_priors_stay_finite(gamma):
    weights = rebalancing_weights(np.array([1.0 - 1e-12, 1e-12, 0.0]), gamma)
    assert np.isfinite(weights).all()
    assert (weights > 0).all()


def test_the_best_constant_is_what_one_bin_gets():
    prior = colour_prior(drawn_counts(), grid_bins())
    weights = rebalancing_weights(prior)
    pixels = np.random.RandomState(1).choice(35, 200_000, p=prior)
    measured = max(weights[pixels][pixels == q].sum() / weights[pixels].sum() for q in range(35))
    assert best_constant(prior, weights) == pytest.approx(measured, abs=0.01)
    assert best_constant(np.full(35, 1 / 35), np.ones(35)) == pytest.approx(1 / 35)


def test_wrong_arguments_say_what_was_expected():
    bins = grid_bins()
    with pytest.raises(ValueError, match="with sum 0 for 35 bins"):
        colour_prior(np.zeros(35), bins)
    with pytest.raises(ValueError, match=r"counts of shape \(34,\)"):
        colour_prior(np.ones(34), bins)
    with pytest.raises(ValueError, match="sigma=-1"):
        colour_prior(np.ones(35), bins, sigma=-1)
    with pytest.raises(ValueError, match=r"gamma=1\.5; expected it in \[0, 1\]"):
        rebalancing_weights(np.ones(4) / 4, 1.5)
