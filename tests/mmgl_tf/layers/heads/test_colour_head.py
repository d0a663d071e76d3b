import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.layers.heads.colour_head import ColourHead


def drawn_head(**arguments):
    head = ColourHead(**{"num_bins": 6, "width": 5, **arguments})
    head.build((None, 3, 2, 4))
    random = np.random.RandomState(0)
    head.norm.gamma.assign(1 + 0.3 * random.randn(5))
    head.norm.beta.assign(random.randn(5))
    return head


def drawn_map():
    return np.random.RandomState(1).randn(2, 3, 2, 4).astype("float32")


def enlarged(cells, scale):
    """Bilinear with first centre on first centre, a value at a time."""
    rows, columns = cells.shape[:2]
    out = np.zeros((scale * rows, scale * columns, cells.shape[2]))
    for i, j in np.ndindex(*out.shape[:2]):
        y, x = i / scale, j / scale
        top, left = int(np.floor(y)), int(np.floor(x))
        for di, dj in np.ndindex(2, 2):
            weight = (1 - abs(y - top - di)) * (1 - abs(x - left - dj))
            out[i, j] += weight * cells[np.clip(top + di, 0, rows - 1), np.clip(left + dj, 0, columns - 1)]
    return out


def slow_scores(feature_map, head):
    """In the order of the spec: convolution, batch norm, ReLU, enlargement, 1x1 convolution; float64."""
    count, rows, columns, _ = feature_map.shape
    padded = np.pad(feature_map.astype("float64"), [(0, 0), (1, 1), (1, 1), (0, 0)])
    hidden = np.zeros((count, rows, columns, 5))
    for i, j in np.ndindex(rows, columns):
        window = padded[:, i : i + 3, j : j + 3]
        hidden[:, i, j] = np.einsum("brsc,rscf->bf", window, head.conv.kernel.numpy())
    flat = hidden.reshape(-1, 5)
    hidden = (hidden - flat.mean(axis=0)) / np.sqrt(flat.var(axis=0) + 1e-5)
    hidden = np.maximum(hidden * head.norm.gamma.numpy() + head.norm.beta.numpy(), 0)
    hidden = np.array([enlarged(cells, head.scale) for cells in hidden])
    return hidden @ head.classifier.kernel.numpy() + head.classifier.bias.numpy()


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("scale", [4, 1])
def test_scores_follow_the_slow_version(scale, jit):
    head, x = drawn_head(scale=scale), drawn_map()
    scores = tf.function(lambda x: head(x, training=True), jit_compile=jit, autograph=False)(x)
    assert scores.shape == head.compute_output_shape(x.shape) == (2, 3 * scale, 2 * scale, 6)
    np.testing.assert_allclose(scores, slow_scores(x, head), atol=2e-5)


def test_gradients_follow_central_differences():
    head, x = drawn_head(), drawn_map()
    random = np.random.RandomState(2)
    direction, change = random.randn(2, 12, 8, 6), 1e-6 * random.randn(*x.shape)
    inputs = tf.Variable(x)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(head(inputs, training=True) * direction.astype("float32"))
    gradient = tape.gradient(total, inputs).numpy()
    exact = x.astype("float64")
    slope = ((slow_scores(exact + change, head) - slow_scores(exact - change, head)) * direction).sum() / 2
    assert (gradient * change).sum() == pytest.approx(slope, rel=1e-4)


def test_parameters_paths_and_sizes_of_the_paper():
    head = ColourHead(313)
    head.build((None, 18, 9, 2048))
    trained = sum(int(np.prod(v.shape)) for v in head.trainable_variables)
    assert trained == 9 * 2048 * 512 + 2 * 512 + 512 * 313 + 313
    assert head.compute_output_shape((48, 18, 9, 2048)) == (48, 72, 36, 313)
    assert [v.path for v in head.trainable_variables] == [
        "colour_head/conv/kernel",
        "colour_head/norm/gamma",
        "colour_head/norm/beta",
        "colour_head/classifier/kernel",
        "colour_head/classifier/bias",
    ]


def test_a_score_is_read_where_its_colour_is():
    """In the middle of an image the score for pixel 4 i hangs on pixels evenly to its left and its right."""
    encoder = Encoder("resnet10", stream="one")
    encoder.build_from(288, 48)
    for variable in encoder.trainable_variables:  # every path weighs the same, nothing is cut off
        variable.assign(tf.ones_like(variable) if "beta" not in variable.path else tf.zeros_like(variable))
    head = ColourHead(1, 1)
    head.build((None, 18, 3, encoder.num_features))
    for kernel in (head.conv.kernel, head.classifier.kernel):
        kernel.assign(tf.ones_like(kernel))
    # Noise, as the pooling of equal values would lean to one side.
    images = tf.Variable(np.random.RandomState(0).rand(8, 288, 48, 3), dtype="float32")
    for row in (34, 36, 37):  # on a cell, between two
        with tf.GradientTape() as tape:
            score = tf.reduce_sum(head(encoder({"visible": images}))[:, row, 6, 0])
        weights = tf.reduce_sum(tape.gradient(score, images), [0, 2, 3]).numpy().astype("float64")
        assert weights @ np.arange(288) / weights.sum() == pytest.approx(4 * row, abs=1.0)


def test_initial_values_follow_seed_and_place():
    first, again = drawn_head(), drawn_head()
    for name in ("conv", "classifier"):
        kernel = getattr(first, name).kernel.numpy()
        np.testing.assert_array_equal(getattr(again, name).kernel.numpy(), kernel)
        for other in (drawn_head(seed=1), drawn_head(name="other")):
            assert (getattr(other, name).kernel.numpy() != kernel).any()


def test_the_convolution_has_the_policys_type_and_scores_are_float32():
    head = drawn_head(dtype="mixed_bfloat16")
    assert head.conv.compute_dtype == head.norm.compute_dtype == "bfloat16"
    x = tf.cast(drawn_map(), tf.bfloat16)
    scores = head(x, training=True)
    assert scores.dtype == tf.float32
    expected = slow_scores(tf.cast(x, tf.float64).numpy(), head)
    np.testing.assert_allclose(scores, expected, atol=0.05)
    assert {v.dtype for v in head.variables} == {"float32"}


def test_it_survives_saving(tmp_path):
    model = keras.Sequential([keras.Input((3, 2, 4)), ColourHead(6, 5, 2, seed=3)])
    model(drawn_map(), training=True)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.layers[0].get_config() == model.layers[0].get_config()
    np.testing.assert_array_equal(again(drawn_map()), model(drawn_map()))
