import keras
import pytest
import tensorflow as tf

from mmgl_tf.layers.full_precision import at_least_float32, full_precision
from tests.float64 import in_float64


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_heads_are_float32_whatever_the_trunk_computes_in(policy):
    keras.config.set_dtype_policy(policy)
    assert full_precision() == "float32"
    with in_float64():
        assert full_precision() == "float64"
    assert full_precision() == "float32" and keras.config.dtype_policy().name == policy


def test_half_precision_is_raised_and_float64_stays():
    raised = {
        name: at_least_float32(tf.zeros(2, name)).dtype.name
        for name in ("bfloat16", "float16", "float32", "float64")
    }
    assert raised == {"bfloat16": "float32", "float16": "float32", "float32": "float32", "float64": "float64"}
