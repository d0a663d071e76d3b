"""Half-precision trunks: losses agree with float32, heads and weights stay float32 (spec A11)."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.optimizers.torch_sgd import TorchSGD
from tests.mmgl_tf.training.replicated_steps import global_batch, make_model

HALVES = ("bfloat16", "float16")


@pytest.fixture(autouse=True)
def policy():
    yield
    keras.mixed_precision.set_global_policy("float32")


def model_and_losses(method, precision, reference=None):
    """A model with the reference's weights, and its losses on one batch: dict of floats."""
    keras.mixed_precision.set_global_policy(precision if precision == "float32" else f"mixed_{precision}")
    model = make_model(method, {"float16": True} if precision == "float16" else {})
    if reference is not None:
        for own, given in zip(model.weights, reference.weights, strict=True):
            own.assign(given)
    batch = {name: tf.constant(value) for name, value in global_batch(0, method).items()}
    outputs = model.outputs(batch)
    assert {value.dtype for value in outputs.values() if value.dtype.is_floating} == {tf.float32}
    terms, _ = model.losses(outputs, tf.constant([2, 0]))
    return model, {name: float(value) for name, value in terms.items()}


@pytest.mark.parametrize("method", ["mmgl", "agw"])
def test_losses_agree_with_float32_to_a_hundredth(method):
    reference, expected = model_and_losses(method, "float32")
    for precision in HALVES:
        model, found = model_and_losses(method, precision, reference)
        assert model.encoder.compute_dtype == precision
        assert {weight.dtype for weight in model.weights} <= {"float32", "int64", "int32"}
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=1e-2), (precision, name)
        assert found != expected, "the trunk did not compute in half precision"


@pytest.mark.parametrize("precision", HALVES)
def test_a_step_moves_the_weights_as_in_float32(precision):
    """Directions of the gradients agree, and the loss scale has left no factor in them."""
    moves = []
    for name in ("float32", precision):
        keras.mixed_precision.set_global_policy(name if name == "float32" else f"mixed_{name}")
        model = make_model("two_stream", {"float16": True} if name == "float16" else {})
        before = [weight.numpy() for weight in model.trainable_variables]
        batch = {key: tf.constant(value) for key, value in global_batch(0, "two_stream").items()}
        model.train_step(batch)
        after = [weight.numpy() for weight in model.trainable_variables]
        moves.append(np.concatenate([(b - a).ravel() for a, b in zip(before, after, strict=True)]))
    full, half = moves
    cosine = full @ half / np.linalg.norm(full) / np.linalg.norm(half)
    assert cosine > 0.95
    assert np.linalg.norm(half) == pytest.approx(np.linalg.norm(full), rel=0.05)


def test_only_float16_scales_its_loss():
    assert TorchSGD(0.1).scale_loss(tf.constant(2.0)) == 2.0
    scaled = TorchSGD(0.1, dynamic_loss_scale=True)
    scaled.build([keras.Variable(np.zeros(2, np.float32))])
    assert float(scaled.scale_loss(tf.constant(2.0))) == 2.0 * 2**15
