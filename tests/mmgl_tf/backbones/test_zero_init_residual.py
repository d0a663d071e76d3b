import keras
import numpy as np

from mmgl_tf.backbones import Encoder
from mmgl_tf.backbones.blocks import Stage
from tests.mmgl_tf.backbones.golden_images import both


def test_last_gammas_of_the_blocks_start_at_zero_and_nothing_else_differs():
    usual, zeroed = Encoder("resnet10", seed=3), Encoder("resnet10", seed=3, zero_init_residual=True)
    for encoder in (usual, zeroed):
        encoder.build_from(96, 48)
    for one, other in zip(usual.variables, zeroed.variables, strict=True):
        assert one.path == other.path
        if one.path.endswith("/bn2/gamma"):
            np.testing.assert_array_equal(one.numpy(), np.ones(one.shape))
            np.testing.assert_array_equal(other.numpy(), np.zeros(one.shape))
        else:
            np.testing.assert_array_equal(one.numpy(), other.numpy())
    zeros = [v for v in zeroed.variables if v.path.endswith("gamma") and not v.numpy().any()]
    assert len(zeros) == sum(stage.depth for stage in zeroed.stages)


def test_the_last_of_a_bottleneck_is_the_third():
    stage = Stage("bottleneck", 2, 4, 1, True, zero_init_residual=True, name="layer1")
    stage.build((None, None, None, 8))
    gammas = {v.path: v.numpy() for v in stage.variables if v.path.endswith("gamma")}
    assert len(gammas) == 7
    for path, gamma in gammas.items():
        np.testing.assert_array_equal(gamma, 0.0 if "/bn3/" in path else 1.0, err_msg=path)


def test_a_block_begins_as_its_shortcut():
    encoder = Encoder("resnet10", zero_init_residual=True)
    encoder.build_from(96, 48)
    x = np.abs(np.random.RandomState(0).randn(2, 4, 3, 32)).astype("float32")
    first = encoder.stages[0].blocks[0]  # 32 -> 32 at stride 1: the identity
    np.testing.assert_array_equal(first(x, training=True), x)
    assert np.abs(encoder.stages[1](x, training=True)).max() > 0  # a projected shortcut
    assert np.isfinite(encoder(both(), training=True)).all()


def test_config_keeps_it():
    encoder = Encoder("resnet10", zero_init_residual=True)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(encoder))
    assert again.zero_init_residual
    assert again.get_config() == encoder.get_config()
    assert [s.get_config() for s in again.stages] == [s.get_config() for s in encoder.stages]
    assert not Encoder("resnet10").zero_init_residual
    block = encoder.stages[0].blocks[0]
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(block))
    assert again.zero_init_residual
