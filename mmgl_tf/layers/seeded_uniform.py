"""Uniform noise as a pure function of a seed, the same on every device, compiled with XLA or not."""

import tensorflow as tf

_FRACTION = 2**23 - 1


def seeded_uniform(shape, seed):
    """Uniform draws in [0, 1), multiples of 2^-23.

    A seed for each image keeps an image's noise with it, however a batch is cut over replicas or parts: what
    noise in `StepContract.outputs` needs. One seed for all is for what sees the whole batch.

    Args:
        shape: int32 tensor or tuple, of the result, [B, ...] with a seed for each image.
        seed: int32 [2], or int32 [B, 2], one for each image.

    Returns:
        float32 tensor of `shape`; equal seeds give equal draws to the last bit.
    """
    seed = tf.convert_to_tensor(seed, tf.int32)
    if len(seed.shape) == 2:
        bits = _hashed(shape, tf.bitcast(seed, tf.uint32))
    else:
        # The algorithm is named, because "auto" picks a different one per device. Bits are drawn, because XLA
        # makes floats of them in a way of its own: here as TensorFlow's op does, the lower 23 as a fraction.
        bits = tf.random.stateless_uniform(
            shape, seed, minval=None, maxval=None, dtype=tf.uint32, alg="philox"
        )
    return tf.cast(tf.bitwise.bitwise_and(bits, _FRACTION), tf.float32) / (_FRACTION + 1)


def seed_of(seed, place):
    """Seeds of their own for each place of a network that draws.

    Args:
        seed: int32 [2], of the step, or int32 [B, 2], of each image in the step.
        place: integer, such as the number of a head.

    Returns:
        The shape of `seed`, int32; it meets no other place's and, but by chance, no other step's.
    """
    seed = tf.convert_to_tensor(seed, tf.int32)
    if len(seed.shape) == 1:
        return tf.random.experimental.stateless_fold_in(seed, place, alg="philox")
    keys = _key(tf.bitcast(seed, tf.uint32))
    mixed = _mixed(keys + tf.constant(place & 0xFFFFFFFF, tf.uint32))
    return tf.bitcast(tf.stack([keys, mixed], axis=1), tf.int32)


def seeds_of_rows(seed, rows):
    """A seed for each image of a step, however its batch is cut over replicas or parts.

    Args:
        seed: int32 [2], of the step.
        rows: int32 [B], the images' rows in the global batch, all different.

    Returns:
        int32 [B, 2]; no two of a step are alike.
    """
    first, second = tf.unstack(seed_of(seed, 0))
    return tf.stack([tf.bitwise.bitwise_xor(rows, first), tf.fill(tf.shape(rows), second)], axis=1)


def _hashed(shape, seeds):
    """Bits of each row's own: a number is mixed with its row's key, twice. uint32 of `shape`."""
    shape = tf.convert_to_tensor(shape, tf.int32)
    key = _key(seeds)[:, tf.newaxis]
    count = tf.cast(tf.range(tf.reduce_prod(shape[1:])), tf.uint32)[tf.newaxis]
    bits = _mixed(_mixed(count + key) ^ _mixed(key + tf.constant(0x9E3779B9, tf.uint32)))
    return tf.reshape(bits, shape)


def _key(seeds):
    """One uint32 of each pair."""
    return _mixed(_mixed(seeds[:, 0]) + seeds[:, 1])


def _mixed(x):
    """MurmurHash3's finaliser: every bit of a uint32 hangs on every other."""
    x = (x ^ tf.bitwise.right_shift(x, tf.constant(16, tf.uint32))) * tf.constant(0x85EBCA6B, tf.uint32)
    x = (x ^ tf.bitwise.right_shift(x, tf.constant(13, tf.uint32))) * tf.constant(0xC2B2AE35, tf.uint32)
    return x ^ tf.bitwise.right_shift(x, tf.constant(16, tf.uint32))
