import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.heads.tile_head import TileHead
from tests.mmgl_tf.losses.view_pairs import numeric_gradients


def drawn_head(**arguments):
    head = TileHead(**{"num_permutations": 6, "num_tiles": 4, "width": 5, **arguments})
    head.build((None, head.num_tiles, 3))
    random = np.random.RandomState(0)
    head.tile.norm1.gamma.assign(1 + 0.3 * random.randn(head.width))
    head.tile.norm1.beta.assign(random.randn(head.width))
    return head


def slow_scores(tiles, head):
    """One image and one tile at a time; statistics over all tiles of the batch."""
    linear, norm = head.tile.linear1, head.tile.norm1
    hidden = np.array(
        [
            [tile @ linear.kernel.numpy().astype("float64") + linear.bias.numpy() for tile in image]
            for image in tiles
        ]
    )
    flat = hidden.reshape(-1, hidden.shape[-1])
    hidden = (hidden - flat.mean(axis=0)) / np.sqrt(flat.var(axis=0) + 1e-5)
    hidden = np.maximum(hidden * norm.gamma.numpy() + norm.beta.numpy(), 0)
    rows = [np.concatenate(list(image)) for image in hidden]
    return np.array(rows) @ head.classifier.kernel.numpy() + head.classifier.bias.numpy()


def test_scores_and_gradient_follow_the_slow_version():
    head, x = drawn_head(), np.random.RandomState(1).randn(3, 4, 3)
    direction = np.random.RandomState(2).randn(3, 6)
    inputs = tf.Variable(x, dtype=tf.float32)
    with tf.GradientTape() as tape:
        scores = head(inputs, training=True)
        total = tf.reduce_sum(scores * direction.astype("float32"))
    np.testing.assert_allclose(scores, slow_scores(x, head), atol=1e-5)
    (expected,) = numeric_gradients(lambda x: (slow_scores(x, head) * direction).sum(), x)
    np.testing.assert_allclose(tape.gradient(total, inputs), expected, atol=2e-5)


def test_the_order_of_tiles_matters_and_that_of_images_does_not():
    head, x = drawn_head(), np.random.RandomState(1).randn(3, 4, 3).astype("float32")
    scores = head(x).numpy()
    np.testing.assert_allclose(head(x[::-1].copy()), scores[::-1], atol=1e-6)
    assert np.abs(head(x[:, ::-1].copy()) - scores).max() > 1e-2


def test_parameters_and_paths_of_the_paper():
    head = TileHead(64)
    head.build((None, 9, 2048))
    trained = sum(int(np.prod(v.shape)) for v in head.trainable_variables)
    assert trained == 2048 * 1000 + 3 * 1000 + 9000 * 64 + 64
    assert [v.path for v in head.trainable_variables] == [
        "tile_head/tile/linear1/kernel",
        "tile_head/tile/linear1/bias",
        "tile_head/tile/norm1/gamma",
        "tile_head/tile/norm1/beta",
        "tile_head/classifier/kernel",
        "tile_head/classifier/bias",
    ]
    limit = 1 / np.sqrt(9000)
    assert 0.99 * limit < np.abs(head.classifier.kernel.numpy()).max() <= limit


def test_initial_values_follow_seed_and_place():
    first, again = drawn_head(), drawn_head()
    np.testing.assert_array_equal(first.classifier.kernel.numpy(), again.classifier.kernel.numpy())
    for other in (drawn_head(seed=1), drawn_head(name="tile_head_2")):
        assert (other.classifier.kernel.numpy() != first.classifier.kernel.numpy()).any()
        assert (other.tile.linear1.kernel.numpy() != first.tile.linear1.kernel.numpy()).any()


def test_it_is_float32_under_mixed_precision_and_survives_saving(tmp_path):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    x = np.random.RandomState(1).randn(3, 4, 3).astype("float32")
    model = keras.Sequential([keras.Input((4, 3)), TileHead(6, 4, 5, seed=3)])
    assert model(tf.cast(x, tf.bfloat16), training=True).dtype == tf.float32
    assert {v.dtype for v in model.variables} == {"float32"}
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.layers[0].get_config() == model.layers[0].get_config()
    np.testing.assert_array_equal(again(x), model(x))


@pytest.mark.parametrize("shape", [(None, 4, 3), (None, 9), (None, 9, None)])
def test_wrong_shapes_say_what_was_expected(shape):
    with pytest.raises(ValueError, match=r"9 tiles got features of shape .* expected \[B, num_tiles, C\]"):
        TileHead(64).build(shape)
