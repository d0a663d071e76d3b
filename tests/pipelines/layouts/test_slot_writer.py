import numpy as np
import pytest

from mmgl_tf.pipelines.augmentation.stripes import shuffle_stripes
from mmgl_tf.pipelines.augmentation.working_memory import WorkingMemory
from mmgl_tf.pipelines.decode import normalise
from mmgl_tf.pipelines.layouts.slot_writer import SlotWriter


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_writer_equals_normalising_and_shuffling(dtype, channels):
    image = np.random.default_rng(0).integers(0, 256, (12, 4, channels), np.uint8).astype(dtype)
    if dtype == np.float32:
        image += np.random.default_rng(1).random(image.shape, np.float32)
    order = np.array([2, 0, 1])
    out = np.empty((12, 4, 3), np.float32)
    SlotWriter(4).write(image, order, out, WorkingMemory())
    expected = normalise(np.broadcast_to(image, (12, 4, 3))).numpy()
    np.testing.assert_array_equal(out, shuffle_stripes(expected[None], order[None])[0])
