import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.gates.binary_concrete import binary_concrete
from mmgl_tf.layers.gates.channel_gate import ChannelGate
from mmgl_tf.layers.gates.pixel_gate import PixelGate
from mmgl_tf.layers.gates.search_cell import SearchCell
from mmgl_tf.layers.seeded_uniform import seed_of
from tests.mmgl_tf.layers.slow_layers import assert_layer_follows, fill

SEED = tf.constant([3, 9])
MAP = np.random.RandomState(0).randn(3, 4, 2, 6)


def built(kind=SearchCell, channels=6, **kwargs):
    layer = kind(**{"name": "cell", **kwargs})
    layer.build((None, None, None, channels))
    return layer


def slow_channel_logits(values, x):
    inner = np.maximum(x.mean(axis=(1, 2)) @ values["squeeze"] + values["squeeze_bias"], 0)
    return inner @ values["excite"] + values["bias"]


def test_channel_logits_follow_the_slow_version():
    assert_layer_follows(
        lambda: built(ChannelGate, reduction=2), lambda layer, x: layer(x), slow_channel_logits, MAP
    )


def test_static_channel_logits_do_not_look_at_the_image():
    gate = fill(built(ChannelGate, reduction=0))
    np.testing.assert_allclose(gate(MAP.astype("float32")), np.tile(gate.bias.numpy(), (3, 1)))
    assert [v.path for v in gate.variables] == ["cell/bias"]


def test_pixel_logits_follow_the_slow_version():
    assert_layer_follows(
        lambda: built(PixelGate),
        lambda layer, x: layer(x),
        lambda values, x: x @ values["kernel"] + values["bias"],
        MAP,
    )


@pytest.mark.parametrize("reduction", [2, 0])
@pytest.mark.parametrize("residual", [False, True])
def test_every_gate_is_open_at_the_start(reduction, residual):
    cell = built(reduction=reduction, residual=residual)
    x = MAP.astype("float32")
    found, kept = cell(x)
    np.testing.assert_array_equal(found, 2 * x if residual else x)
    np.testing.assert_array_equal(kept, np.ones((3, 2)))


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_values_follow_the_slow_version(residual, training):
    cell, x = fill(built(reduction=2, residual=residual), 1), tf.constant(MAP, tf.float32)
    found, kept = cell(x, temperature=0.7, training=training, seed=SEED)
    seeds = [seed_of(SEED, place) for place in (0, 1)]
    a = binary_concrete(cell.channels(x), 0.7, training, seeds[0]).numpy()
    a[a.max(axis=1) == 0] = 1
    gated = MAP * a[:, None, None]
    m = binary_concrete(cell.pixels(tf.constant(gated, tf.float32)), 0.7, training, seeds[1]).numpy()
    m[m.max(axis=(1, 2, 3)) == 0] = 1
    np.testing.assert_allclose(found, MAP * residual + gated * m, rtol=1e-6)
    np.testing.assert_allclose(kept, np.stack([a.mean(axis=1), m.mean(axis=(1, 2, 3))], axis=1), rtol=1e-6)
    assert 0 < np.mean(kept) < 1


def test_gradients_are_those_of_the_soft_gates():
    cell, x = fill(built(reduction=2), 1), tf.Variable(MAP, dtype=tf.float32)
    with tf.GradientTape() as tape:
        found, _ = cell(tf.convert_to_tensor(x), training=True, seed=SEED)
        total = tf.reduce_sum(found * np.random.RandomState(2).randn(3, 4, 2, 6).astype("float32"))
    gradients = tape.gradient(total, [x, *(v.value for v in cell.trainable_variables)])
    assert all(np.abs(g).max() > 1e-3 for g in gradients)


@pytest.mark.parametrize("training", [False, True])
def test_closed_cells_stay_open_and_can_learn(training):
    cell, x = built(reduction=2), tf.constant(MAP, tf.float32)
    cell.channels.bias.assign(np.full(6, -12.0))
    cell.pixels.bias.assign([-12.0])
    with tf.GradientTape() as tape:
        found, kept = cell(x, temperature=4.0, training=training, seed=SEED)
        total = tf.reduce_sum(found**2)
    np.testing.assert_array_equal(found, x)
    np.testing.assert_array_equal(kept, np.ones((3, 2)))
    if training:
        gradient = tape.gradient(total, cell.pixels.bias.value)
        assert np.abs(gradient).max() > 0


def test_noise_is_the_seeds_and_stays_with_its_image():
    cell, x = fill(built(reduction=2), 1), tf.constant(MAP, tf.float32)
    first = cell(x, training=True, seed=SEED)[0].numpy()
    np.testing.assert_array_equal(cell(x, training=True, seed=SEED)[0], first)
    others = [cell(x, training=True, seed=SEED + i)[0].numpy() for i in range(1, 4)]
    assert any((other != first).any() for other in others)
    seeds = tf.constant([[1, 5], [1, 6], [2, 5]])
    whole = cell(x, training=True, seed=seeds)[0]
    np.testing.assert_array_equal(cell(x[1:], training=True, seed=seeds[1:])[0], whole[1:])
    np.testing.assert_array_equal(cell(x, seed=SEED)[0], cell(x)[0])
    with pytest.raises(ValueError, match="seed=None in training"):
        cell(x, training=True)


def test_the_first_step_moves_the_outer_weights_and_the_second_all():
    cell, x = built(reduction=2), tf.constant(MAP, tf.float32)

    def learning():
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(cell(x, training=True, seed=SEED)[0] ** 3)
        gradients = tape.gradient(total, [v.value for v in cell.trainable_variables])
        pairs = list(zip(cell.trainable_variables, gradients, strict=True))
        for variable, gradient in pairs:
            variable.assign(variable - 0.1 * gradient)
        return {v.path.split("/", 1)[1] for v, g in pairs if np.abs(g).max() > 1e-6}

    everything = {v.path.split("/", 1)[1] for v in cell.trainable_variables}
    assert learning() == everything - {"channels/squeeze", "channels/squeeze_bias"}
    assert learning() == everything


def test_published_counts():
    cells = [built(channels=c) for c in (256, 512, 1024, 2048)]
    count = [
        2 * sum(v.shape.num_elements() for c in cells for v in part(c).variables)
        for part in (lambda c: c.channels, lambda c: c.pixels)
    ]
    assert count == [1_400_800, 7_688]
    static = [built(ChannelGate, c, reduction=0) for c in (256, 512, 1024, 2048)]
    assert sum(v.shape.num_elements() for g in static for v in g.variables) == 3_840


def test_initial_values_of_the_channel_gate():
    gate = built(ChannelGate, 1024)
    limit = 1 / np.sqrt(1024)
    assert 0.99 * limit < np.abs(gate.squeeze.numpy()).max() <= limit
    np.testing.assert_array_equal(gate.excite, np.zeros((64, 1024)))
    np.testing.assert_array_equal(gate.bias, np.full(1024, 3.0))


def test_half_precision_keeps_the_maps_type():
    cell = built(reduction=2, dtype="mixed_bfloat16")
    found, kept = cell(tf.cast(MAP, tf.bfloat16), training=True, seed=SEED)
    assert found.dtype == tf.bfloat16
    assert kept.dtype == tf.float32
    assert {v.dtype for v in cell.variables} == {"float32"}


def test_config_rebuilds_the_cell():
    cell = built(reduction=3, residual=True, place="x", seed=5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(cell))
    assert again.get_config() == cell.get_config()
    np.testing.assert_array_equal(again.channels.squeeze, cell.channels.squeeze)
    assert cell.compute_output_shape((None, 4, 2, 6)) == ((None, 4, 2, 6), (None, 2))
    with pytest.raises(ValueError, match="6 channels and reduction=4; expected a reduction that divides"):
        built(ChannelGate, reduction=4)
