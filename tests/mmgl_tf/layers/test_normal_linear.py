import keras
import numpy as np
import pytest

from mmgl_tf.layers.normal_linear import NormalLinear
from tests.mmgl_tf.layers.slow_layers import assert_layer_follows


def built(units=3, channels=4, **kwargs):
    layer = NormalLinear(units, **{"name": "classifier", **kwargs})
    layer.build((None, channels))
    return layer


def test_values_and_gradients_follow_the_slow_version():
    assert_layer_follows(
        built,
        lambda layer, x: layer(x),
        lambda values, x: x @ values["kernel"] + values["bias"],
        np.random.RandomState(0).randn(5, 4),
    )


@pytest.mark.parametrize(("deviation", "expected"), [(None, np.sqrt(2 / 300)), (0.001, 0.001)])
def test_initial_values_depend_on_seed_and_place(deviation, expected):
    layer = built(300, 200, deviation=deviation, place="a")
    assert layer.kernel.numpy().std() == pytest.approx(expected, rel=0.02)
    np.testing.assert_array_equal(layer.bias, np.zeros(300))
    same = built(300, 200, deviation=deviation, place="a", name="other")
    np.testing.assert_array_equal(same.kernel, layer.kernel)
    for other in ({"place": "b"}, {"place": "a", "seed": 1}):
        assert not np.array_equal(built(300, 200, deviation=deviation, **other).kernel, layer.kernel)


def test_config_rebuilds_it_and_bad_units_say_what_was_expected():
    layer = built(deviation=0.2, place="x", seed=1)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    assert again.compute_output_shape((None, 4)) == (None, 3)
    with pytest.raises(ValueError, match="units=0; expected an integer of at least 1"):
        NormalLinear(0)
