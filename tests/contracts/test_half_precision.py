"""Half precision: as near to the exact losses as the type allows, in the trunk alone.

Exact is float64. How near the type allows is the spread that its ulp in the images gives, see `one_ulp`.
"""

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.pipelines.records import MODALITIES
from tests.contracts.cases import METHODS, case
from tests.float64 import in_float64
from tests.one_ulp import moved_by_one_ulp, root_mean_square

pytestmark = pytest.mark.slow

# Of the spread: a step rounds in every layer, and the images too.
ALLOWED = 6.0
BATCHES = 6
STAGED = [(method, stage) for method in METHODS for stage in case(method).stages]


def losses(model, batch):
    """[terms] of a batch."""
    terms, _ = model.losses(model.joined(model.outputs(batch)), tf.constant([2, 0]))
    return [float(value) for value in terms.values()]


def moved(batch, precision, seed):
    """A batch whose images are moved by one ulp of a type."""
    return {
        name: tf.constant(moved_by_one_ulp(value.numpy(), precision, [seed, number]))
        if name.split("_")[0] in MODALITIES
        else value
        for number, (name, value) in enumerate(batch.items())
    }


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize(("method", "stage"), STAGED)
def test_losses_are_as_near_to_the_exact_ones_as_one_ulp_in_the_images_takes_them(method, stage, precision):
    batches = [case(method, seed=seed).batch(stage) for seed in range(BATCHES)]
    with in_float64():
        reference = case(method).model()
        exact = np.array([losses(reference, batch) for batch in batches])
        shaken = [moved(batch, precision, seed) for seed, batch in enumerate(batches)]
        spread = root_mean_square([losses(reference, batch) for batch in shaken] - exact)
    model = case(method, precision=precision).model()
    for own, given in zip(model.weights, reference.weights, strict=True):
        own.assign(given)
    away = root_mean_square([losses(model, batch) for batch in batches] - exact)
    # The heads' and losses' own rounding, float32's, counts where the trunk's is smaller still.
    limit = ALLOWED * spread + 1e-6 * np.abs(exact).max(axis=0)
    assert (away < limit).all(), away / spread
    assert (away > 0.01 * spread).all(), "the trunk did not compute in half precision"
    assert model.encoder.compute_dtype == precision
    assert {weight.dtype for weight in model.weights} <= {"float32", "int64", "int32"}
    outputs = model.outputs(batches[0])
    assert {value.dtype for value in outputs.values() if value.dtype.is_floating} == {tf.float32}
