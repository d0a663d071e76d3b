"""What is exported of any fine-tuning method says what its embedder says, in each of its features."""

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.finetuning import FINETUNING
from mmgl_tf.serving.inference_network import InferenceNetwork
from tests.contracts.cases import HEIGHT, WIDTH, case
from tests.mmgl_tf.serving.trained_embedder import images


def shaken(embedder):
    """The embedder with every weight off its initial value, as training leaves it."""
    dice = np.random.default_rng(7)
    for variable in embedder.weights:
        name = variable.path.rsplit("/", 1)[-1]
        if name == "gamma" and "non_local" in variable.path:
            variable.assign(dice.uniform(0.02, 0.05, variable.shape))  # more, and x^3 grows out of float32
        elif name in ("gamma", "moving_variance"):
            variable.assign(dice.uniform(0.6, 1.4, variable.shape))
        else:
            variable.assign_add(dice.normal(0.0, 0.05, variable.shape))
    return embedder


@pytest.mark.parametrize("method", FINETUNING)
def test_the_inference_network_says_what_the_embedder_says(method):
    embedder = shaken(case(method).model().embedder)
    batch = {"visible": images(3, (HEIGHT, WIDTH)), "infrared": images(2, (HEIGHT, WIDTH), seed=1)}
    expected = embedder.embed(batch)
    for feature in embedder.FEATURES:
        network = InferenceNetwork(embedder, feature)
        assert network.num_features == expected[feature].shape[1]
        np.testing.assert_allclose(network(batch), expected[feature], atol=1e-5, err_msg=feature)
        alone = network({"infrared": batch["infrared"]})
        np.testing.assert_allclose(alone, expected[feature][3:], atol=1e-5, err_msg=feature)
        if feature == embedder.FEATURES[0]:
            embed = tf.function(network.__call__, autograph=False)
            nothing = batch | {"visible": batch["visible"][:0]}
            np.testing.assert_allclose(embed(nothing), expected[feature][3:], atol=1e-5)
            half = InferenceNetwork(embedder, feature, "bfloat16")(batch).numpy()
            assert half.dtype == np.float32 and np.sum(half * expected[feature], axis=1).min() > 0.97
