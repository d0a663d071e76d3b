import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.heads.batch_norm_neck import BatchNormNeck
from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm, synchronise


def drawn(shape=(6, 5)):
    return (2.0 + 3.0 * np.random.RandomState(0).randn(*shape)).astype("float32")


@pytest.mark.parametrize("shape", [(6, 5), (3, 4, 2, 5)])
@pytest.mark.parametrize("jit", [False, True])
def test_without_scale_and_offset_it_only_normalises(shape, jit):
    norm, x = FusedBatchNorm(affine=False), drawn(shape)
    norm.build(shape)
    flat = x.reshape(-1, 5).astype("float64")
    expected = (x - flat.mean(axis=0)) / np.sqrt(flat.var(axis=0) + 1e-5)
    found = tf.function(lambda x: norm(x, training=True), jit_compile=jit, autograph=False)(x)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(norm.moving_mean, 0.1 * flat.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, 0.9 + 0.1 * flat.var(axis=0, ddof=1), rtol=1e-5)
    inferred = (x - norm.moving_mean.numpy()) / np.sqrt(norm.moving_variance.numpy() + 1e-5)
    np.testing.assert_allclose(norm(x), inferred, rtol=1e-4, atol=1e-5)


def test_there_is_nothing_to_learn():
    norm = FusedBatchNorm(affine=False, name="norm3")
    norm.build((None, 5))
    assert norm.trainable_variables == []
    assert [v.path for v in norm.variables] == ["norm3/moving_mean", "norm3/moving_variance"]
    assert synchronise(norm) == 1


def test_configs_without_it_are_those_of_before():
    plain, usual = FusedBatchNorm(affine=False), FusedBatchNorm()
    assert "affine" not in usual.get_config()
    assert "affine" not in BatchNormNeck().get_config()
    for layer in (plain, usual):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        assert again.affine == layer.affine
        assert again.get_config() == layer.get_config()


def test_it_follows_the_precision_policy():
    norm = FusedBatchNorm(affine=False, dtype="mixed_bfloat16")
    y = norm(tf.cast(drawn(), tf.bfloat16), training=True)
    assert y.dtype == tf.bfloat16
    assert {v.dtype for v in norm.variables} == {"float32"}
