import numpy as np
import tensorflow as tf

from mmgl_tf.pipelines.batches.buffer_pool import _MOST, BufferPool


def address(array):
    return array.__array_interface__["data"][0]


def test_an_array_is_used_again_only_when_nobody_refers_to_it():
    pool = BufferPool((4, 5))
    first, second = pool.take(), pool.take()
    assert address(first) != address(second)
    part = first[1:, 2:]
    place = address(first)
    del first
    assert address(pool.take()) not in (place, address(second))  # the view keeps it
    del part
    assert place in [address(array) for array in (pool.take(), pool.take())]


def test_arrays_are_as_asked_and_aligned():
    array = BufferPool((3, 5, 7), np.int16).take()
    assert (array.shape, array.dtype) == ((3, 5, 7), np.int16)
    assert array.flags.c_contiguous and address(array) % 64 == 0


def test_whoever_keeps_many_gets_fresh_ones():
    pool = BufferPool((3,))
    kept = [pool.take() for _ in range(_MOST + 5)]
    assert len({address(array) for array in kept}) == _MOST + 5
    assert len(pool._memories) == _MOST


def test_tensors_that_share_the_memory_keep_it():
    pool = BufferPool((1000, 100))

    def make(number):
        array = pool.take()
        array[:] = number
        return array

    dataset = tf.data.Dataset.range(30).map(lambda number: tf.numpy_function(make, [number], tf.float32))
    kept = list(dataset.prefetch(3))
    for number, tensor in enumerate(kept):
        np.testing.assert_array_equal(tensor.numpy(), number)
    places = [address(tensor.numpy()) for tensor in dataset]
    del kept, tensor
    again = [address(tensor.numpy()) for tensor in dataset]
    assert len(set(again)) < len(places)
