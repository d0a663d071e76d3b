"""A batch in parts has the gradient of the whole batch's loss."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm
from mmgl_tf.optimizers.torch_sgd import TorchSGD
from mmgl_tf.training.step.accumulation import accumulated_gradients
from mmgl_tf.training.step.model import TrainingModel

IMAGES, SIZE = 4, 5


class Small(TrainingModel):
    """A network whose loss compares every image with every other, so that parts must not be on their own."""

    def __init__(self, normalised=False, dtype="float64"):
        super().__init__(keras.layers.Dense(3, dtype=dtype, name="encoder"), 0, {"all": 1.0}, [], "small")
        self.norm = FusedBatchNorm(name="norm") if normalised else None
        self.encoder.build((None, SIZE))
        if normalised:
            self.norm.build((None, 3))
        self.built = True

    def outputs(self, batch):
        rows = self.encoder(tf.concat([batch["visible"], batch["infrared"]], axis=0))
        return {
            "rows": self.norm(rows, training=True) if self.norm else tf.tanh(rows),
            "order": batch["order"],
        }

    def losses(self, outputs, seed):
        rows = outputs["rows"]
        weights = tf.cast(outputs["order"], rows.dtype)
        return {"all": tf.reduce_sum(tf.exp(rows @ tf.transpose(rows)) * weights[:, None] * 0.1)}, {}


def small(**settings):
    model = Small(**settings)
    model.compile(optimizer=TorchSGD(0.1), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def batch(dtype="float64"):
    dice = np.random.default_rng(0)
    images = {
        name: tf.constant(dice.standard_normal((IMAGES, SIZE)), dtype) for name in ("visible", "infrared")
    }
    return images | {"order": tf.range(2 * IMAGES)}


def gradients(model, parts, data):
    def weighted(outputs):
        loss = model.losses(outputs, None)[0]["all"]
        return loss, {"loss/total": loss}

    if parts == 1:
        with tf.GradientTape() as tape:
            loss, figures = weighted(model.outputs(data))
        return tape.gradient(loss, model.trainable_variables), figures
    return tf.function(lambda: accumulated_gradients(model, data, parts, weighted), autograph=False)()


@pytest.mark.parametrize("parts", [2, 4])
def test_gradient_and_loss_are_those_of_the_whole_batch(parts):
    model, data = small(), batch()
    expected, figures = gradients(model, 1, data)
    found, seen = gradients(model, parts, data)
    np.testing.assert_allclose(seen["loss/total"], figures["loss/total"], rtol=1e-12)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_moving_statistics_move_once_for_each_part():
    model, data = small(normalised=True, dtype="float32"), batch("float32")
    rows = model.encoder(tf.concat([data["visible"], data["infrared"]], axis=0)).numpy()
    gradients(model, 2, data)
    expected = np.zeros(3)
    for part in (rows[[0, 1, 4, 5]], rows[[2, 3, 6, 7]]):
        expected = 0.9 * expected + 0.1 * part.mean(axis=0)
    np.testing.assert_allclose(model.norm.moving_mean, expected, rtol=1e-5, atol=1e-7)


def test_parts_that_do_not_divide_the_batch_are_refused():
    model, data = small(), batch()
    with pytest.raises(ValueError, match=r"--accumulate=3 does not divide the 4 images"):
        gradients(model, 3, data)


def test_a_step_in_parts_moves_the_weights_as_a_whole_one():
    whole, parted, data = small(), small(), batch()
    for one, other in zip(parted.weights, whole.weights, strict=True):
        one.assign(other)
    parted.accumulate = 2
    for model in (whole, parted):
        tf.function(model.train_step, autograph=False)(data)
    for one, other in zip(parted.weights, whole.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    assert not np.allclose(whole.encoder.kernel, small().encoder.kernel)
