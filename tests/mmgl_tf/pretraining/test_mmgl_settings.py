"""Settings of MMGL's losses move the loss that they are settings of; other numbers of stripes."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.flags.config import options_type, settings
from mmgl_tf.optimizers.torch_sgd import TorchSGD
from mmgl_tf.pretraining.mmgl import Mmgl
from mmgl_tf.training.plan import TrainingPlan

HEIGHT, WIDTH, PAIRS = 96, 32, 3
SMALL = options_type("mmgl")(part_embedding_size=8, gumbel_samples=2, sinkhorn_iters=5)
PERMUTATION, CONTRAST = "permutation", "cycle_contrast"
# The loss that a setting moves, by how it is called.
MOVES = {
    "perm_loss": PERMUTATION,
    "perm_reduction": PERMUTATION,
    "perm_sample_reduce": PERMUTATION,
    "rank_scale": PERMUTATION,
    "sinkhorn_iters": PERMUTATION,
    "sinkhorn_tau": PERMUTATION,
    "gumbel_samples": PERMUTATION,
    "gumbel_scale": PERMUTATION,
    "nce_tau": CONTRAST,
    "snn_tau": CONTRAST,
    "snn_renorm": CONTRAST,
    "pcc_negatives": CONTRAST,
    "pcc_backward": CONTRAST,
    "pcc_exclude_self": CONTRAST,
    "pcc_universe": CONTRAST,
    "pcc_own_set": CONTRAST,
    "pcc_centre": CONTRAST,
    "pcc_symmetric": CONTRAST,
}
OTHER_NUMBERS = {
    "sinkhorn_iters": 1,
    "sinkhorn_tau": 0.5,
    "gumbel_samples": 3,
    "gumbel_scale": 0.3,
    "nce_tau": 0.3,
    "snn_tau": 0.5,
}


def build(options=SMALL, height=HEIGHT):
    model = Mmgl(Encoder("resnet10", seed=1), options, 2, TrainingPlan())
    model.build_from(height, WIDTH)
    model.compile(optimizer=TorchSGD(0.01), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def batch(stripes=6, height=HEIGHT, pairs=PAIRS):
    dice = np.random.default_rng(0)
    images = {
        m: tf.constant(dice.standard_normal((pairs, height, WIDTH, 3)), tf.float32)
        for m in ("visible", "infrared")
    }
    order = np.stack([dice.permutation(stripes) for _ in range(2 * pairs)])
    return images | {"permutation": tf.constant(order, tf.int32)}


@functools.cache
def outputs():
    return build().outputs(batch())


def losses(**changes):
    """{term: value} of one network's outputs, whatever the settings of the losses are."""
    options = dataclasses.replace(SMALL, **changes)
    terms, _ = Mmgl(Encoder("resnet10"), options, 2, TrainingPlan()).losses(outputs(), tf.constant([2, 0]))
    return {name: float(value) for name, value in terms.items()}


def alternatives():
    """(setting, another value) for each of `MOVES`, and each of its choices."""
    for _, entry in settings():
        if entry.name in OTHER_NUMBERS:
            yield entry.name, OTHER_NUMBERS[entry.name]
        elif entry.name in MOVES:
            for value in entry.metadata["choices"] or (True, False):
                if value != entry.default:
                    yield entry.name, value


@pytest.mark.parametrize(("name", "value"), list(alternatives()))
def test_a_setting_moves_its_own_loss_and_no_other(name, value):
    # Ranks have a scale only where ranks are compared; the soft neighbours' temperature follows the
    # contrast's where it is not set.
    beside = {"rank_scale": {"perm_loss": "rank"}, "nce_tau": {"snn_tau": 0.07}}.get(name, {})
    default, changed = losses(**beside), losses(**beside | {name: value})
    assert np.isfinite(changed[MOVES[name]])
    moved = {term for term in default if changed[term] != pytest.approx(default[term], rel=1e-6)}
    assert moved == {MOVES[name]}


def test_each_step_draws_other_noise():
    model, data = build(), batch()
    model.optimizer.learning_rate = 0.0
    first = float(model.train_step(data)["loss/permutation"])
    second = 2 * float(model.train_step(data)["loss/permutation"]) - first
    assert second != pytest.approx(first, rel=1e-4)


@pytest.mark.parametrize("stripes", [2, 3])
def test_other_numbers_of_stripes(stripes):
    model = build(dataclasses.replace(SMALL, num_stripes=stripes))
    assert np.isfinite(float(model.train_step(batch(stripes))["loss/total"]))


@pytest.mark.slow
def test_more_than_six_stripes_recover_their_order_on_the_host():
    """In a graph, which has to call it."""
    model = build(dataclasses.replace(SMALL, num_stripes=9), height=144)
    figures = tf.function(model.train_step, autograph=False)(batch(9, height=144, pairs=2))
    assert np.isfinite(float(figures["loss/total"]))
