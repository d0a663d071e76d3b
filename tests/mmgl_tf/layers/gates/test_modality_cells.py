import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.gates.modality_cells import ModalityCells
from mmgl_tf.pipelines.records import MODALITIES
from tests.mmgl_tf.layers.slow_layers import fill

MAP = tf.constant(np.random.RandomState(0).randn(5, 4, 2, 6), tf.float32)
SEEDS = tf.constant([[row, 7] for row in range(5)])


def built(**kwargs):
    cells = ModalityCells(MODALITIES, reduction=2, name="cells", **kwargs)
    cells.build((None, None, None, 6))
    return cells


@pytest.mark.parametrize("training", [False, True])
def test_the_rows_of_a_modality_go_through_its_own_cell(training):
    cells = fill(built(), 1)
    found, kept = cells(
        MAP, counts={"visible": 3, "infrared": 2}, temperature=0.7, training=training, seeds=SEEDS
    )
    first, then = (
        cell(MAP[rows], temperature=0.7, training=training, seed=SEEDS[rows])
        for cell, rows in ((cells.visible, slice(3)), (cells.infrared, slice(3, 5)))
    )
    np.testing.assert_array_equal(found, tf.concat([first[0], then[0]], axis=0))
    np.testing.assert_array_equal(kept, tf.concat([first[1], then[1]], axis=0))
    assert np.abs(cells.visible(MAP)[0] - cells.infrared(MAP)[0]).max() > 0.1


def test_a_modality_may_be_missing_or_without_rows():
    cells = fill(built(), 1)
    alone = cells.infrared(MAP)[0]
    np.testing.assert_array_equal(cells(MAP, counts={"infrared": 5})[0], alone)
    act = tf.function(
        lambda number: cells(MAP, counts={"visible": number, "infrared": 5 - number})[0], autograph=False
    )
    np.testing.assert_allclose(act(tf.constant(0)), alone, rtol=1e-6)


def test_all_cells_start_alike_and_have_weights_of_their_own():
    cells = built(seed=4)
    names = [v.path for v in cells.variables]
    assert len(set(names)) == len(names) and names[0].startswith("cells/visible/channels/")
    for own, other in zip(cells.visible.variables, cells.infrared.variables, strict=True):
        np.testing.assert_array_equal(own, other)
    assert np.abs(cells.visible.channels.squeeze - built(seed=5).visible.channels.squeeze).max() > 0.01


def test_serving_may_use_another_type_than_training():
    cells = fill(built(dtype="mixed_bfloat16"), 1)
    found, _ = cells(MAP, counts={"visible": 5})
    assert found.dtype == tf.float32
    np.testing.assert_array_equal(found, cells.visible(MAP)[0])
    assert cells(tf.cast(MAP, tf.bfloat16), counts={"visible": 5})[0].dtype == tf.bfloat16


def test_config_rebuilds_the_cells():
    cells = built(residual=True, place="x", seed=5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(cells))
    assert again.get_config() == cells.get_config()
    assert cells.compute_output_shape((None, 4, 2, 6)) == ((None, 4, 2, 6), (None, 2))
