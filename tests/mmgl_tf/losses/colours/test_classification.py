import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.colours.classification import colour_rows, rebalanced_accuracy
from tests.mmgl_tf.losses.view_pairs import numeric_gradients

BINS = np.array([(a, b) for a in range(-20, 30, 10) for b in range(-10, 20, 10)], "float32")
WEIGHTS = np.linspace(0.4, 3, 15).astype("float32")


def drawn(seed=0):
    random = np.random.RandomState(seed)
    ab = random.uniform(-22, 22, (3, 2, 2, 2))
    ab[1] = random.uniform(-4.9, 4.9, (2, 2, 2))  # a grey image
    ab[2] = random.uniform(-4.9, 4.9, (2, 2, 2))
    ab[2, 1, 0, 1] = 5.1  # all but grey
    return 2 * random.randn(3, 2, 2, 15), ab


def slow_rows(logits, ab, neighbours=5, sigma=5.0):
    """A pixel at a time."""
    rows = {name: np.zeros(len(ab)) for name in ("plain", "weighted", "right", "weight", "grey")}
    for i, image in enumerate(ab):
        coloured = any(abs(value) > 5 for value in image.ravel())
        rows["grey"][i] = not coloured
        for place in np.ndindex(*image.shape[:2]):
            squares = ((image[place] - BINS) ** 2).sum(axis=1)
            chosen = np.argsort(squares)[:neighbours]
            encoding = np.zeros(len(BINS))
            encoding[chosen] = np.exp(-squares[chosen] / (2 * sigma**2))
            encoding /= encoding.sum()
            shares = np.exp(logits[i][place]) / np.exp(logits[i][place]).sum()
            entropy, weight = -(encoding * np.log(shares)).sum(), WEIGHTS[np.argmax(encoding)]
            rows["plain"][i] += entropy / 4
            rows["weighted"][i] += coloured * weight * entropy / 4
            rows["right"][i] += weight * (np.argmax(shares) == np.argmax(encoding)) / 4
            rows["weight"][i] += weight / 4
    return rows


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("neighbours", [5, 10])
def test_rows_follow_the_slow_version(neighbours, jit):
    bins, weights = keras.Variable(BINS, trainable=False), tf.Variable(WEIGHTS)  # as a model keeps them
    compiled = tf.function(
        lambda x, y: colour_rows(x, y, bins, weights, neighbours),
        jit_compile=jit,
        reduce_retracing=True,
        autograph=False,
    )
    right = []
    for seed in range(4):
        logits, ab = drawn(seed)
        found = compiled(tf.constant(logits, tf.float32), tf.constant(ab, tf.float32))
        for name, expected in slow_rows(logits, ab, neighbours).items():
            assert found[name].dtype == tf.float32
            np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-6, err_msg=name)
        right.append(found["right"].numpy().sum())
    assert max(right) > 0


def test_gradient_follows_central_differences():
    logits, ab = drawn()
    variable = tf.Variable(logits.astype("float32"))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(colour_rows(variable, ab, BINS, WEIGHTS)["weighted"])
    (expected,) = numeric_gradients(lambda x: slow_rows(x, ab)["weighted"].mean(), logits)
    np.testing.assert_allclose(tape.gradient(loss, variable), expected, atol=1e-5)
    assert np.abs(expected[0]).max() > 0.05


def test_a_grey_image_teaches_nothing_and_is_logged():
    logits, ab = drawn()
    variable = tf.Variable(logits.astype("float32"))
    with tf.GradientTape() as tape:
        rows = colour_rows(variable, ab, BINS, WEIGHTS)
        loss = tf.reduce_mean(rows["weighted"])
    gradient = tape.gradient(loss, variable).numpy()
    assert rows["weighted"].numpy()[1] == 0.0
    np.testing.assert_array_equal(gradient[1], 0.0)
    assert np.abs(gradient[2]).max() > 0  # one value above 5, of either sign, is colour
    assert rows["plain"].numpy()[1] > 0
    minus = colour_rows(logits, -ab, BINS, WEIGHTS)["weighted"].numpy()
    assert minus[1] == 0.0
    assert minus[2] > 0


def test_weights_scale_pixels_and_are_not_divided_out():
    logits, ab = drawn()
    once, twice = (colour_rows(logits, ab, BINS, factor * WEIGHTS) for factor in (1, 2))
    np.testing.assert_allclose(twice["weighted"], 2 * once["weighted"], rtol=1e-6)
    np.testing.assert_array_equal(twice["plain"], once["plain"])
    even = colour_rows(logits, ab, BINS, np.ones(15))
    np.testing.assert_allclose(even["weighted"].numpy()[[0, 2]], even["plain"].numpy()[[0, 2]], rtol=1e-6)


def test_flat_logits_cost_ln_of_the_bins():
    _, ab = drawn()
    rows = colour_rows(np.zeros((3, 2, 2, 15)), ab, BINS, WEIGHTS)
    np.testing.assert_allclose(rows["plain"], np.log(15), rtol=1e-6)


def test_accuracy_is_a_ratio_of_sums():
    logits, ab = drawn()
    rows = colour_rows(logits, ab, BINS, WEIGHTS)
    accuracy = rebalanced_accuracy(rows["right"], rows["weight"])
    expected = slow_rows(logits, ab)
    assert accuracy.numpy() == pytest.approx(expected["right"].sum() / expected["weight"].sum(), rel=1e-6)
    perfect = np.array(
        [[((pixel - BINS) ** 2).sum(axis=1) for pixel in image.reshape(-1, 2)] for image in ab]
    )
    rows = colour_rows(-perfect.reshape(3, 2, 2, 15), ab, BINS, WEIGHTS)
    assert rebalanced_accuracy(rows["right"], rows["weight"]).numpy() == pytest.approx(1.0)
    assert rebalanced_accuracy(tf.zeros([0]), tf.zeros([0])).numpy() == 0.0


def test_half_precision_is_raised_first():
    logits, ab = drawn()
    half = tf.cast(logits, tf.bfloat16)
    found = colour_rows(half, ab, BINS, WEIGHTS)
    expected = slow_rows(tf.cast(half, tf.float64).numpy(), ab)
    np.testing.assert_allclose(found["weighted"], expected["weighted"], rtol=1e-5)


def test_sizes_that_do_not_fit_are_refused():
    logits, ab = drawn()
    with pytest.raises(ValueError, match=r"logits of shape \(3, 2, 2, 14\) .* and 15 bins"):
        colour_rows(logits[..., :14], ab, BINS, WEIGHTS)
    with pytest.raises(ValueError, match=r"colours of shape \(3, 1, 2, 2\)"):
        colour_rows(logits, ab[:, :1], BINS, WEIGHTS)
