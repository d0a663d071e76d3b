import gc
import threading
import tracemalloc

import numpy as np
import pytest

from mmgl_tf.pipelines.batches.build import image_dataset
from mmgl_tf.pipelines.batches.plain_batches import PlainBatches
from mmgl_tf.pipelines.decode import normalise
from tests.pipelines.fake_store import HEIGHT, WIDTH, FakeStore

ORDER = [8, 2, 2, 5, 0, 1, 6]


def extracted(store, positions=ORDER, size=3, **arguments):
    dataset = image_dataset(store, positions, size, **arguments)
    made = [{key: value.numpy() for key, value in batch.items()} for batch in dataset]
    assert len(made) == dataset.cardinality()
    return made


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_images_come_in_order_normalised_bit_for_bit_and_padded(channels, flip, threads):
    rng = np.random.default_rng(1)
    store = FakeStore(9, channels=channels)
    store.images = rng.integers(0, 256, store.images.shape, np.uint8)
    made = extracted(store, flip=flip, threads=threads)
    assert [batch["weight"].tolist() for batch in made] == [[1, 1, 1], [1, 1, 1], [1, 0, 0]]
    images = np.concatenate([batch["images"] for batch in made])
    assert images.dtype == made[0]["weight"].dtype == np.float32
    original = np.broadcast_to(store.images[ORDER], (7, HEIGHT, WIDTH, 3))
    if flip:
        original = original[:, :, ::-1]
    np.testing.assert_array_equal(images[:7], normalise(original).numpy())
    assert not images[7:].any()


def test_shapes_are_static_and_passes_alike():
    dataset = image_dataset(FakeStore(9), range(9), 4)
    assert dataset.element_spec["images"].shape == (4, HEIGHT, WIDTH, 3)
    assert dataset.element_spec["weight"].shape == (4,)
    passes = [np.concatenate([batch["images"] for batch in dataset]) for _ in range(2)]
    np.testing.assert_array_equal(*passes)


def test_padding_is_black_in_memory_that_was_used_before():
    batches = PlainBatches(FakeStore(9), range(9), 4)
    for number in (0, 1, 2, 2):  # a batch that is dropped gives its memory to the next
        images, weight = batches(number).values()
    assert weight.tolist() == [1, 0, 0, 0]
    assert images[0].any() and not images[1:].any()


def test_a_full_last_batch_is_not_padded_and_no_position_makes_no_batch():
    assert [batch["weight"].tolist() for batch in extracted(FakeStore(9), [3, 1], 2)] == [[1, 1]]
    assert extracted(FakeStore(9), []) == []


def test_unusable_and_unknown_images_are_refused_before_they_are_read():
    store = FakeStore(5, usable=[0, 2, 4])
    assert len(extracted(store, store.usable)) == 1
    for wrong in (1, 5, -1):
        with pytest.raises(ValueError, match=rf"Images \[{wrong}\] were asked for, 1 in all"):
            image_dataset(store, [0, wrong], 2)
    with pytest.raises(ValueError, match="no usable image"):
        image_dataset(FakeStore(0), [], 2)
    with pytest.raises(ValueError, match="batch_size is 0"):
        image_dataset(store, [0], 0)


def test_a_data_set_that_is_through_leaves_neither_threads_nor_memory():
    """A validation in every epoch makes one, and TensorFlow forgets none of their functions."""

    store = FakeStore(200)

    def extract(times):
        for _ in range(times):
            extracted(store, range(200), 50, threads=3)
        gc.collect()
        return sum(thread.name.startswith("images") for thread in threading.enumerate())

    batch = 50 * HEIGHT * WIDTH * 3 * 4
    threads = extract(2)
    tracemalloc.start()
    try:
        assert extract(5) <= threads
        assert tracemalloc.get_traced_memory()[0] < batch
    finally:
        tracemalloc.stop()
