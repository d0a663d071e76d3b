import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.heads.projector import Projector
from tests.mmgl_tf.losses.view_pairs import numeric_gradients

# The heads of the spec's table: arguments, and the numbers of trained parameters and of weights by hand.
HEADS = {
    "simclr": (2048, {"widths": (2048, 128), "norm": None}, 2048 * 2048 + 2048 + 2048 * 128 + 128, 0),
    "swav": (2048, {"widths": (2048, 128)}, 2048 * 2048 + 3 * 2048 + 2048 * 128 + 128, 2 * 2048),
    "byol": (2048, {"widths": (4096, 256)}, 2048 * 4096 + 3 * 4096 + 4096 * 256 + 256, 2 * 4096),
    "byol_predictor": (256, {"widths": (4096, 256)}, 256 * 4096 + 3 * 4096 + 4096 * 256 + 256, 2 * 4096),
    "simsiam": (
        2048,
        {"widths": (2048,) * 3, "biases": (False, False, "frozen"), "final_norm": "plain"},
        3 * 2048 * 2048 + 2 * 2 * 2048,
        2048 + 3 * 2 * 2048,
    ),
    "simsiam_predictor": (
        2048,
        {"widths": (512, 2048), "biases": (False, True)},
        2048 * 512 + 2 * 512 + 512 * 2048 + 2048,
        2 * 512,
    ),
    "barlow_twins": (
        2048,
        {"widths": (2048,) * 3, "biases": False},
        3 * 2048 * 2048 + 2 * 2 * 2048,
        2 * 2 * 2048,
    ),
    "tile": (
        2048,
        {"widths": (1000,), "final_norm": "affine", "final_relu": True},
        2048 * 1000 + 3 * 1000,
        2 * 1000,
    ),
}
SMALL = [
    {"widths": (6, 3), "norm": None},
    {"widths": (6, 3)},
    {"widths": (6, 5, 3), "biases": (False, False, "frozen"), "final_norm": "plain"},
    {"widths": (6, 3), "biases": (False, True)},
    {"widths": (6, 5, 3), "biases": False},
    {"widths": (3,), "final_norm": "affine", "final_relu": True},
    {"widths": (6, 3), "norm": "plain", "final_norm": "affine"},
]


def drawn_projector(channels=4, **arguments):
    """A projector whose batch norms have random scales and offsets."""
    projector = Projector(**arguments)
    projector.build((None, channels))
    random = np.random.RandomState(0)
    for norm in projector.norms:
        if norm is not None and norm.affine:
            norm.gamma.assign(1 + 0.3 * random.randn(*norm.gamma.shape))
            norm.beta.assign(random.randn(*norm.beta.shape))
    return projector


def slow_head(x, projector, arguments):
    """Layer by layer as the table reads, float64, batch statistics."""
    count = len(arguments["widths"])
    for i in range(count):
        linear, last = projector.linears[i], i == count - 1
        x = x @ linear.kernel.numpy().astype("float64")
        biases = arguments.get("biases", True)
        if (biases[i] if isinstance(biases, tuple) else biases) is True:
            x = x + linear.bias.numpy()
        norm = arguments.get("final_norm") if last else arguments.get("norm", "affine")
        if norm:
            x = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)
        if norm == "affine":
            x = x * projector.norms[i].gamma.numpy() + projector.norms[i].beta.numpy()
        if not last or arguments.get("final_relu"):
            x = np.maximum(x, 0)
    return x


@pytest.mark.parametrize("arguments", SMALL)
def test_output_and_gradient_follow_the_slow_version(arguments):
    projector, x = drawn_projector(**arguments), np.random.RandomState(1).randn(7, 4)
    direction = np.random.RandomState(2).randn(7, 3)
    inputs = tf.Variable(x, dtype=tf.float32)
    with tf.GradientTape() as tape:
        y = projector(inputs, training=True)
        total = tf.reduce_sum(y * direction.astype("float32"))
    assert y.dtype == tf.float32
    np.testing.assert_allclose(y, slow_head(x, projector, arguments), atol=1e-5)
    (expected,) = numeric_gradients(lambda x: (slow_head(x, projector, arguments) * direction).sum(), x)
    np.testing.assert_allclose(tape.gradient(total, inputs), expected, atol=2e-5)


@pytest.mark.parametrize("name", HEADS)
def test_parameters_of_the_heads(name):
    channels, arguments, trained, others = HEADS[name]
    projector = Projector(**arguments)
    projector.build((None, channels))
    assert sum(int(np.prod(v.shape)) for v in projector.trainable_variables) == trained
    assert sum(int(np.prod(v.shape)) for v in projector.non_trainable_variables) == others
    assert projector.compute_output_shape((96, channels)) == (96, arguments["widths"][-1])


def test_variables_have_explicit_paths():
    projector = Projector((6, 3), biases=(False, True), name="predictor")
    projector.build((None, 4))
    assert [v.path for v in projector.trainable_variables] == [
        "predictor/linear1/kernel",
        "predictor/norm1/gamma",
        "predictor/norm1/beta",
        "predictor/linear2/kernel",
        "predictor/linear2/bias",
    ]
    assert Projector((3,)).name == "projector"


def test_initial_values():
    projector = Projector((6, 6, 6), final_norm="affine")
    projector.build((None, 6))
    for norm in projector.norms:
        np.testing.assert_array_equal(norm.gamma.numpy(), np.ones(6))
        np.testing.assert_array_equal(norm.beta.numpy(), np.zeros(6))
        assert (norm.epsilon, norm.momentum) == (1e-5, 0.9)
    kernels = [linear.kernel.numpy().tobytes() for linear in projector.linears]
    assert len(set(kernels)) == 3
    again, other, seeded = (
        Projector((6, 6, 6)),
        Projector((6, 6, 6), name="predictor"),
        Projector((6, 6, 6), seed=1),
    )
    for built in (again, other, seeded):
        built.build((None, 6))
    assert [linear.kernel.numpy().tobytes() for linear in again.linears] == kernels
    for built in (other, seeded):
        assert not set(kernels) & {linear.kernel.numpy().tobytes() for linear in built.linears}


def test_batch_statistics_are_recorded_in_training_and_used_after():
    projector, x = drawn_projector(widths=(6, 3)), np.random.RandomState(1).randn(7, 4).astype("float32")
    before = projector(x).numpy()
    np.testing.assert_array_equal(projector(x), before)
    projector(x, training=True)
    hidden = projector.linears[0](x).numpy()
    np.testing.assert_allclose(
        projector.norms[0].moving_mean, 0.1 * hidden.mean(axis=0), rtol=1e-4, atol=1e-6
    )
    assert np.abs(projector(x) - before).max() > 1e-3


def test_it_is_float32_under_mixed_precision():
    keras.mixed_precision.set_global_policy("mixed_float16")
    projector = Projector((6, 3), final_norm="plain")
    projector.build((None, 4))
    assert projector(tf.ones([3, 4], tf.float16), training=True).dtype == tf.float32
    assert {v.dtype for v in projector.variables} == {"float32"}
    assert projector.norms[0].compute_dtype == projector.linears[0].compute_dtype == "float32"


@pytest.mark.parametrize("arguments", SMALL)
def test_config_and_weights_survive_saving(tmp_path, arguments):
    x = np.random.RandomState(1).randn(7, 4).astype("float32")
    model = keras.Sequential([keras.Input((4,)), Projector(**arguments, seed=3)])
    model(x, training=True)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.layers[0].get_config() == model.layers[0].get_config()
    np.testing.assert_array_equal(again(x), model(x))


def test_wrong_arguments_say_what_was_expected():
    with pytest.raises(ValueError, match="expected at least one width"):
        Projector(())
    with pytest.raises(ValueError, match=r"widths \(4, 3\) and biases \(True,\)"):
        Projector((4, 3), biases=(True,))
    with pytest.raises(ValueError, match="final_norm='batch'; expected None, 'affine' or 'plain'"):
        Projector((4, 3), final_norm="batch")
    with pytest.raises(ValueError, match="bias='no'"):
        Projector((4, 3), biases="no")
