"""Half-precision trunks: as near to the exact losses as the type allows; heads and weights float32 (A11).

Exact is float64. How near the type allows is the spread that its ulp in the images gives, see `one_ulp`.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.optimizers.torch_sgd import TorchSGD
from tests.float64 import in_float64
from tests.mmgl_tf.training.step.replicated_steps import global_batch, make_model
from tests.one_ulp import images_moved_by_one_ulp, root_mean_square

HALVES = ("bfloat16", "float16")
# Of the spread. A step rounds in every layer, and the images too: 0.8 to 1.7 was seen, over six batches.
ALLOWED = 6.0
BATCHES = 6


def exact_model(method):
    with in_float64():
        return make_model(method, {})


def half_model(method, precision, reference):
    """Of the reference's weights."""
    keras.config.set_dtype_policy(f"mixed_{precision}")
    model = make_model(method, {"float16": True} if precision == "float16" else {})
    for own, given in zip(model.weights, reference.weights, strict=True):
        own.assign(given)
    return model


def tensors(batch):
    return {name: tf.constant(value) for name, value in batch.items()}


def losses(model, batch):
    """[terms] of a batch."""
    outputs = model.outputs(tensors(batch))
    terms, _ = model.losses(outputs, tf.constant([2, 0]))
    return [float(value) for value in terms.values()]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["mmgl", "agw"])
def test_losses_are_as_near_to_the_exact_ones_as_one_ulp_in_the_images_takes_them(method):
    reference = exact_model(method)
    batches = [global_batch(step, method) for step in range(BATCHES)]
    exact = np.array([losses(reference, batch) for batch in batches])
    for precision in HALVES:
        moved = [images_moved_by_one_ulp(batch, precision, step) for step, batch in enumerate(batches)]
        spread = root_mean_square([losses(reference, batch) for batch in moved] - exact)
        model = half_model(method, precision, reference)
        away = root_mean_square([losses(model, batch) for batch in batches] - exact)
        # The heads' and losses' own rounding, float32's, counts where the trunk's is smaller still.
        limit = ALLOWED * spread + 1e-6 * np.abs(exact).max(axis=0)
        assert (away < limit).all(), (precision, list(reference.term_weights), away / spread)
        assert (away > 0.01 * spread).all(), "the trunk did not compute in half precision"


@pytest.mark.parametrize("method", ["mmgl", "agw"])
@pytest.mark.parametrize("precision", HALVES)
def test_only_the_trunk_computes_in_half_precision(method, precision):
    model = half_model(method, precision, exact_model(method))
    assert model.encoder.compute_dtype == precision
    assert {weight.dtype for weight in model.weights} <= {"float32", "int64", "int32"}
    outputs = model.outputs(tensors(global_batch(0, method)))
    assert {value.dtype for value in outputs.values() if value.dtype.is_floating} == {tf.float32}


def steps(model, start, batches):
    """What a first step from `start` adds to the trained weights, for each batch: [batches, weights]."""
    moves = []
    for batch in batches:
        for variable in (*model.optimizer.variables, *model.weights):
            if variable.path in start:
                variable.assign(start[variable.path])
        model.train_step(tensors(batch))
        moves.append(
            np.concatenate(
                [np.ravel(v.numpy() - start[v.path]) for v in model.trained_variables], dtype="float64"
            )
        )
    return np.array(moves)


@pytest.mark.slow
@pytest.mark.parametrize("precision", HALVES)
def test_a_step_is_as_near_to_the_exact_one_as_one_ulp_in_the_images_takes_it(precision):
    """The loss scale leaves no factor in it either."""
    reference = exact_model("agw")
    start = {v.path: v.numpy() for v in (*reference.optimizer.variables, *reference.weights)}
    batches = [global_batch(step, "agw") for step in range(2)]
    moved = [images_moved_by_one_ulp(batch, precision, step) for step, batch in enumerate(batches)]
    exact = steps(reference, start, batches)
    spread = np.linalg.norm(steps(reference, start, moved) - exact)
    away = np.linalg.norm(steps(half_model("agw", precision, reference), start, batches) - exact)
    # Closer than for losses: one number for all weights, and AGW's losses are smooth. 0.9 to 1.2 was seen.
    assert 0.1 * spread < away < 3.0 * spread
    assert spread < 0.3 * np.linalg.norm(exact), "else the test could not fail"


def test_only_float16_scales_its_loss():
    assert TorchSGD(0.1).scale_loss(tf.constant(2.0)) == 2.0
    scaled = TorchSGD(0.1, dynamic_loss_scale=True)
    scaled.build([keras.Variable(np.zeros(2, np.float32))])
    assert float(scaled.scale_loss(tf.constant(2.0))) == 2.0 * 2**15
