"""Loss scaling for float16: what a good step does, and what one that overflows leaves alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.optimizers import loss_scale
from mmgl_tf.optimizers.torch_sgd import TorchSGD
from tests.mmgl_tf.training.step.replicated_steps import global_batch, make_model

INF = float("inf")


def stepped(gradients, clip=None, nesterov=False):
    """(optimiser, variable) after scaled gradients; the plain optimiser's variable after the good ones."""
    variable = keras.Variable(np.array([1.0, -2.0], np.float32))
    scaled = TorchSGD(0.1, global_clipnorm=clip, nesterov=nesterov, dynamic_loss_scale=True)
    scaled.build([variable])
    for gradient in gradients:
        scaled.apply([tf.constant(gradient, tf.float32) * scaled.loss_scale.scale], [variable])
    plain_variable = keras.Variable(np.array([1.0, -2.0], np.float32))
    plain = TorchSGD(0.1, global_clipnorm=clip, nesterov=nesterov)
    plain.build([plain_variable])
    for gradient in gradients:
        if np.isfinite(gradient).all():
            plain.apply([tf.constant(gradient, tf.float32)], [plain_variable])
    return scaled, variable, plain_variable


@pytest.mark.parametrize("clip", [None, 0.3])
@pytest.mark.parametrize("nesterov", [False, True])
def test_steps_are_the_plain_ones_and_an_overflow_changes_nothing_but_the_count(clip, nesterov):
    gradients = [[0.5, 1.0], [INF, 0.0], [float("nan"), 1.0], [-0.25, 0.5]]
    scaled, variable, plain = stepped(gradients, clip, nesterov)
    np.testing.assert_array_equal(variable, plain)
    assert int(scaled.iterations) == 4
    assert float(scaled.loss_scale.scale) == loss_scale.INITIAL / 4
    assert float(scaled.loss_scale.good_steps) == 1


def test_many_good_steps_double_the_scale(monkeypatch):
    monkeypatch.setattr(loss_scale, "GROWTH_STEPS", 3)
    scaled, _, _ = stepped([[0.1, 0.1]] * 7)
    assert float(scaled.loss_scale.scale) == 4 * loss_scale.INITIAL
    assert float(scaled.loss_scale.good_steps) == 1


def test_the_scale_stays_finite(monkeypatch):
    monkeypatch.setattr(loss_scale, "GROWTH_STEPS", 1)
    scaled, _, _ = stepped([[0.0, 0.0]] * 12)
    assert float(scaled.loss_scale.scale) == loss_scale.LARGEST == 2.0**24


def test_the_norm_is_that_of_the_loss_and_does_not_count_where_the_step_is_skipped():
    scaled, _, _ = stepped([])
    scale = float(scaled.loss_scale.scale)
    overflow = [tf.constant([INF, 1.0])]
    assert [*map(float, scaled.unscaled_norm([tf.constant([3.0 * scale, 4.0 * scale])]))] == [5.0, 1.0]
    assert [*map(float, scaled.unscaled_norm(overflow))] == [0.0, 0.0]
    scaled.loss_scale.scale.assign(0.5)
    norm, counts = map(float, scaled.unscaled_norm(overflow))
    assert not np.isfinite(norm) and counts == 1.0, "no scale can help"


def test_small_gradients_survive_float16():
    weight = tf.constant([2.0**-10], tf.float16)
    scaled, _, _ = stepped([])
    for scale, survives in ((1.0, False), (float(scaled.loss_scale.scale), True)):
        x = tf.constant([1.0])
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.cast(tf.cast(x, tf.float16) * weight, tf.float32) * 2.0**-16 * scale
        assert (float(tape.gradient(loss, x)[0]) > 0) == survives


def test_figures_tell_scale_and_skipped_steps_and_a_skipped_step_has_no_gradient_in_them():
    batch = {name: tf.constant(value) for name, value in global_batch(0, "two_stream").items()}
    plain, scaled = make_model("two_stream", {}), make_model("two_stream", {"scaled": True})
    expected = plain.train_step(batch)
    assert not [name for name in expected if name.startswith("loss_scale/")]
    scaled.optimizer.loss_scale.scale.assign(INF)
    first, second = scaled.train_step(batch), scaled.train_step(batch)
    assert (float(first["gradient/norm"]), float(first["loss_scale/skipped"])) == (0.0, 1.0)
    assert float(first["loss_scale/scale"]) == INF and float(second["loss_scale/skipped"]) == 0.5
    assert float(second["gradient/norm"]) == pytest.approx(float(expected["gradient/norm"]), rel=1e-4)
