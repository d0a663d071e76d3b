import math

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.identification.graph_identity import dynamic_weight, graph_identity_loss
from tests.mmgl_tf.golden_waves import IDENTITIES, LOGITS
from tests.mmgl_tf.losses.view_pairs import assert_follows


def test_value_and_gradient_follow_the_slow_version():
    assert_follows(
        lambda z: graph_identity_loss(z, IDENTITIES),
        lambda z: -np.mean([row[label] for row, label in zip(z, IDENTITIES, strict=True)]),
        -np.abs(LOGITS).astype("float64"),
    )


def test_flat_nodes_cost_chance_and_certain_ones_nothing():
    flat = np.full((3, 395), -np.log(395), "float32")
    assert graph_identity_loss(flat, [0, 5, 394]).numpy() == pytest.approx(np.log(395), rel=1e-6)
    assert graph_identity_loss(np.log(np.eye(3) + 1e-30), [0, 1, 2]).numpy() == pytest.approx(0.0)
    assert graph_identity_loss(tf.cast(flat, tf.bfloat16), [0, 1, 2]).dtype == tf.float32


def test_the_weight_of_a_run():
    # The part losses of three epochs: each weights the epoch behind it.
    history = [[9.0, 7.0], [4.0, 2.0, 0.0], [0.0]]
    assert [dynamic_weight(sum(epoch) / len(epoch)) for epoch in history] == [1 / 9, 1 / 3, 1.0]


@pytest.mark.parametrize("wrong", [-0.1, math.nan])
def test_a_mean_that_is_none_says_what_was_expected(wrong):
    with pytest.raises(ValueError, match=r"expected the mean of a loss, at least 0"):
        dynamic_weight(wrong)
