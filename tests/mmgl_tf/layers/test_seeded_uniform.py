import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.seeded_uniform import seed_of, seeded_uniform, seeds_of_rows

ONE = tf.constant([5, 6])
EACH = tf.constant([[5, i] for i in range(8)] + [[i, 6] for i in range(6, 14)])


@pytest.mark.parametrize(("shape", "seed"), [((400_000,), ONE), ((16, 25_000), EACH)])
def test_draws_are_uniform(shape, seed):
    drawn = seeded_uniform(shape, seed).numpy().reshape(-1)
    assert drawn.dtype == np.float32
    assert drawn.min() >= 0.0
    assert drawn.max() < 1.0
    counts = np.histogram(drawn, bins=20, range=(0, 1))[0]
    chi_squared = ((counts - 20_000) ** 2 / 20_000).sum()
    assert 5 < chi_squared < 44  # 19 degrees of freedom; a thousandth on either side


def test_images_of_different_seeds_draw_independently():
    drawn = seeded_uniform((16, 25_000), EACH).numpy()
    between = np.abs(np.corrcoef(drawn) - np.eye(16)).max()
    assert between < 5 / np.sqrt(25_000)
    for step in (1, 2, 64):
        pairs = [np.corrcoef(row[step:], row[:-step])[0, 1] for row in drawn]
        assert np.abs(pairs).max() < 5 / np.sqrt(25_000)


def test_an_image_keeps_its_draws_however_the_batch_is_cut():
    whole = seeded_uniform((16, 3, 2), EACH).numpy()
    parts = [seeded_uniform((4, 3, 2), EACH[i : i + 4]) for i in range(0, 16, 4)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    mixed = tf.gather(EACH, [3, 11, 0])
    np.testing.assert_array_equal(seeded_uniform((3, 3, 2), mixed), whole[[3, 11, 0]])


@pytest.mark.parametrize("seed", [ONE, EACH[:4]])
def test_draws_are_a_function_of_the_seed_alone_also_under_xla(seed):
    drawn = seeded_uniform((4, 9), seed).numpy()
    compiled = tf.function(lambda seed: seeded_uniform((4, 9), seed), jit_compile=True, autograph=False)
    np.testing.assert_array_equal(compiled(seed), drawn)
    assert not (seeded_uniform((4, 9), seed + 1).numpy() == drawn).any()


@pytest.mark.parametrize("seed", [ONE, EACH])
def test_places_have_seeds_of_their_own(seed):
    seeds = [seed_of(seed, place) for place in range(50)]
    assert all(s.shape == seed.shape and s.dtype == tf.int32 for s in seeds)
    rows = np.concatenate([s.numpy().reshape(-1, 2) for s in (*seeds, seed, seed_of(seed + 1, 0))])
    assert len(np.unique(rows, axis=0)) >= len(rows) - 16  # of EACH, [5, 6] is there twice
    drawn = np.stack([seeded_uniform((16, 1000), s) for s in seeds[:4]]).reshape(4, -1)
    assert np.abs(np.corrcoef(drawn) - np.eye(4)).max() < 5 / np.sqrt(16_000)
    compiled = tf.function(lambda seed: seed_of(seed, 7), jit_compile=True, autograph=False)
    np.testing.assert_array_equal(compiled(seed), seeds[7])


def test_rows_have_seeds_of_their_own_whatever_the_part():
    rows = tf.range(64)
    seeds = seeds_of_rows(ONE, rows)
    assert seeds.shape == (64, 2) and seeds.dtype == tf.int32
    steps = [seeds_of_rows(ONE + tf.constant([0, step]), rows) for step in range(20)]
    assert len(np.unique(np.concatenate(steps), axis=0)) == 20 * 64
    np.testing.assert_array_equal(seeds_of_rows(ONE, rows[10:20]), seeds[10:20])
    drawn = seeded_uniform((64, 20_000), seeds).numpy()
    assert np.abs(np.corrcoef(drawn) - np.eye(64)).max() < 5 / np.sqrt(20_000)
