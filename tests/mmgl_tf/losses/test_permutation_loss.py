import itertools

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.permutation import KINDS, RANK_SCALES, REDUCTIONS, SAMPLE_REDUCTIONS, permutation_loss

OPTIONS = list(itertools.product(KINDS, REDUCTIONS, SAMPLE_REDUCTIONS, RANK_SCALES))


def slow_loss(soft, permutation, kind, reduction, sample_reduce, rank_scale):
    """Every square of Eq. 4 by itself."""
    if sample_reduce == "matrix":
        soft = soft.mean(axis=0)[None]
    samples, images, size, _ = soft.shape
    unit = size - 1 if rank_scale == "unit" else 1
    losses = []
    for g in range(samples):
        for b in range(images):
            belief, order = soft[g, b], permutation[b]
            squares = []
            if kind == "matrix":
                for i in range(size):
                    for j in range(size):
                        squares.append((belief[i, j] - (1.0 if order[i] == j else 0.0)) ** 2)
            if kind == "rank":
                for j in range(size):
                    squares.append(((j - sum(belief[i, j] * order[i] for i in range(size))) / unit) ** 2)
            if kind == "forward":
                for i in range(size):
                    squares.append(((order[i] - sum(belief[i, j] * j for j in range(size))) / unit) ** 2)
            losses.append(np.sum(squares) if reduction == "sum" else np.mean(squares))
    return np.mean(losses)


@pytest.fixture
def random():
    return np.random.default_rng(4)


def orders(random, count, size):
    return random.permuted(np.tile(np.arange(size, dtype=np.int32), (count, 1)), axis=1)


@pytest.mark.parametrize(("kind", "reduction", "sample_reduce", "rank_scale"), OPTIONS)
def test_every_form_equals_the_sum_written_out(random, kind, reduction, sample_reduce, rank_scale):
    soft, permutation = random.uniform(size=(3, 4, 5, 5)), orders(random, 4, 5)
    options = (kind, reduction, sample_reduce, rank_scale)
    value = permutation_loss(soft, permutation, *options)
    assert value.shape == ()
    np.testing.assert_allclose(value, slow_loss(soft, permutation, *options), rtol=1e-12)
    single = permutation_loss(soft.astype(np.float32), permutation.astype(np.int64), *options)
    assert single.dtype == tf.float32
    np.testing.assert_allclose(single, value, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "mean", "total"), [("matrix", 5 / 36, 5.0), ("rank", 35 / 12, 17.5), ("forward", 35 / 12, 17.5)]
)
def test_start_values(random, kind, mean, total):
    soft, permutation = np.full((2, 3, 6, 6), 1 / 6), orders(random, 3, 6)
    np.testing.assert_allclose(permutation_loss(soft, permutation, kind, "mean"), mean, rtol=1e-12)
    np.testing.assert_allclose(permutation_loss(soft, permutation, kind, "sum"), total, rtol=1e-12)


def test_index_convention_of_the_pipeline_figure():
    # Slot i holds original stripe o[i]: the black cells (0,2) (1,4) (2,1) (3,3) (4,0) (5,5).
    figure = np.zeros((1, 1, 6, 6))
    for cell in [(0, 2), (1, 4), (2, 1), (3, 3), (4, 0), (5, 5)]:
        figure[0, 0][cell] = 1.0
    permutation = np.array([[2, 4, 1, 3, 0, 5]], np.int32)
    for kind in KINDS:
        assert permutation_loss(figure, permutation, kind) == 0.0
        assert permutation_loss(figure.swapaxes(2, 3), permutation, kind) > 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_matrix_summed_per_sample(random, kind):
    soft, permutation = random.uniform(size=(2, 2, 4, 4)), orders(random, 2, 4)
    expected = slow_loss(soft, permutation, kind, "sum", "loss", "raw")
    np.testing.assert_allclose(permutation_loss(soft, permutation, kind), expected, rtol=1e-12)
    if kind == "matrix":
        np.testing.assert_allclose(permutation_loss(soft, permutation), expected, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_that_disagree_cost_only_where_losses_are_averaged(kind):
    # Two wrong permutations whose mean is no better than chance, and one right one for comparison.
    truth = np.array([[0, 1, 2]], np.int32)
    soft = np.stack([np.eye(3)[[1, 2, 0]], np.eye(3)[[2, 0, 1]], np.eye(3)])[:, None]
    per_sample = float(permutation_loss(soft, truth, kind, sample_reduce="loss"))
    of_mean = float(permutation_loss(soft, truth, kind, sample_reduce="matrix"))
    assert per_sample > of_mean + 0.5


@pytest.mark.parametrize(("kind", "reduction", "sample_reduce", "rank_scale"), OPTIONS)
def test_gradient_against_central_differences(random, kind, reduction, sample_reduce, rank_scale):
    permutation = orders(random, 2, 4)
    theoretical, numerical = tf.test.compute_gradient(
        lambda soft: permutation_loss(soft, permutation, kind, reduction, sample_reduce, rank_scale),
        [random.uniform(size=(2, 2, 4, 4))],
        delta=1e-5,
    )
    np.testing.assert_allclose(theoretical[0], numerical[0], atol=1e-6)


@pytest.mark.parametrize(("kind", "reduction", "sample_reduce", "rank_scale"), OPTIONS)
def test_order_of_images_and_samples_does_not_matter(random, kind, reduction, sample_reduce, rank_scale):
    soft, permutation = random.uniform(size=(3, 5, 4, 4)), orders(random, 5, 4)
    images, samples = random.permutation(5), random.permutation(3)
    options = (kind, reduction, sample_reduce, rank_scale)
    np.testing.assert_allclose(
        permutation_loss(soft[samples][:, images], permutation[images], *options),
        permutation_loss(soft, permutation, *options),
        rtol=1e-12,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_relabelling_the_slots_changes_nothing(random, kind):
    soft, permutation = random.uniform(size=(2, 3, 5, 5)), orders(random, 3, 5)
    slots = random.permutation(5)
    np.testing.assert_allclose(
        permutation_loss(soft[:, :, slots], permutation[:, slots], kind),
        permutation_loss(soft, permutation, kind),
        rtol=1e-12,
    )


def test_unknown_options_are_named():
    soft, permutation = np.full((1, 1, 2, 2), 0.5), np.array([[0, 1]])
    for wrong in ({"kind": "fwd"}, {"reduction": "sum_n"}, {"sample_reduce": "x"}, {"rank_scale": "y"}):
        name, value = next(iter(wrong.items()))
        with pytest.raises(ValueError, match=f"{name}='{value}'; expected one of"):
            permutation_loss(soft, permutation, **wrong)
