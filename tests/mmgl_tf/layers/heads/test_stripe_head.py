import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.heads.stripe_head import StripeHead

OPTIONS = list(itertools.product([True, False], [True, False], [True, False]))


def slow_head(stripes, head, shared, batch_norm, relu):
    """One slot and one image at a time; batch statistics over what shares a batch norm."""
    stripes = stripes.astype(np.float64)
    count, num_stripes, _ = stripes.shape
    out = np.zeros((count, num_stripes, head.embedding_size))
    for b in range(count):
        for n in range(num_stripes):
            kernel = head.kernel.numpy() if shared else head.kernel.numpy()[n]
            out[b, n] = stripes[b, n] @ kernel
            if not batch_norm:
                out[b, n] += head.bias.numpy() if shared else head.bias.numpy()[n]
    if batch_norm:
        groups = [slice(None)] if shared else range(num_stripes)
        for group in groups:
            values = out[:, group].reshape(-1, head.embedding_size)
            out[:, group] = (out[:, group] - values.mean(axis=0)) / np.sqrt(values.var(axis=0) + 1e-5)
    return np.maximum(out, 0.0) if relu else out


@pytest.mark.parametrize(("shared", "batch_norm", "relu"), OPTIONS)
def test_projection(shared, batch_norm, relu):
    stripes = np.random.default_rng(0).normal(loc=0.5, size=(7, 4, 6)).astype(np.float32)
    head = StripeHead(4, 3, shared=shared, batch_norm=batch_norm, relu=relu)
    head.build(stripes.shape)
    if not batch_norm:
        head.bias.assign(np.random.default_rng(1).normal(size=head.bias.shape))
    embedding = head(stripes, training=True)
    assert embedding.dtype == tf.float32
    np.testing.assert_allclose(embedding, slow_head(stripes, head, shared, batch_norm, relu), atol=1e-4)


@pytest.mark.parametrize(
    ("shared", "batch_norm", "count"),
    [
        (True, False, 2048 * 256 + 256),
        (True, True, 2048 * 256 + 4 * 256),
        (False, False, 6 * (2048 * 256 + 256)),
        (False, True, 6 * (2048 * 256 + 4 * 256)),
    ],
)
def test_parameter_counts_and_names(shared, batch_norm, count):
    head = StripeHead(6, 256, shared=shared, batch_norm=batch_norm, name="stripe_head")
    head.build((None, 6, 2048))
    assert head.count_params() == count
    names = [weight.path for weight in head.weights]
    assert names[0] == "stripe_head/kernel"
    assert all(
        name.startswith("stripe_head/batch_norm/" if batch_norm else "stripe_head/bias") for name in names[1:]
    )


def test_unshared_projections_start_at_the_scale_of_a_shared_one():
    keras.utils.set_random_seed(0)
    deviations = []
    for shared in (True, False):
        head = StripeHead(6, 64, shared=shared)
        head.build((None, 6, 512))
        deviations.append(head.kernel.numpy().std())
    np.testing.assert_allclose(deviations, np.sqrt(2.0 / (512 + 64)), rtol=0.02)


def test_batch_norm_learns_in_training_and_is_used_in_evaluation():
    stripes = np.random.default_rng(0).normal(loc=2.0, size=(32, 3, 5)).astype(np.float32)
    head = StripeHead(3, 4, batch_norm=True)
    before = head(stripes, training=False).numpy()
    trained = head(stripes, training=True).numpy()
    np.testing.assert_allclose(trained.reshape(-1, 4).mean(axis=0), 0.0, atol=1e-5)
    projected = (stripes @ head.kernel.numpy()).reshape(-1, 4)
    np.testing.assert_allclose(head.normalise.moving_mean, 0.1 * projected.mean(axis=0), rtol=1e-4)
    assert np.abs(before - head(stripes, training=False)).max() > 1e-3


def test_wrong_number_of_stripes_is_refused():
    with pytest.raises(ValueError, match="6 stripes"):
        StripeHead(6, 8)(np.zeros((2, 3, 4), np.float32))


@pytest.mark.parametrize(("shared", "batch_norm", "relu"), OPTIONS)
def test_config_round_trip_and_float32(shared, batch_norm, relu):
    head = StripeHead(
        3, 4, shared=shared, batch_norm=batch_norm, relu=relu, dtype="mixed_bfloat16", name="parts"
    )
    copy = StripeHead.from_config(head.get_config())
    assert copy.get_config() == head.get_config()
    stripes = tf.ones([2, 3, 5], tf.bfloat16)
    assert copy(stripes).dtype == tf.float32
    assert all(weight.dtype == "float32" for weight in copy.weights)
