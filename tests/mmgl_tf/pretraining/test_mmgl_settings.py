"""Every setting of MMGL does what it is for; other stripes, backbones and XLA."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import BACKBONES, Encoder
from mmgl_tf.flags.config import options_type, settings
from mmgl_tf.optimizers.torch_sgd import TorchSGD
from mmgl_tf.pretraining.mmgl import Mmgl
from mmgl_tf.training.plan import TrainingPlan
from tests.float64 import in_float64

Options = options_type("mmgl")
HEIGHT, WIDTH, PAIRS = 96, 32, 3
SMALL = Options(part_embedding_size=8, gumbel_samples=2, sinkhorn_iters=5)
# One variant for each alternative that a choice setting of the method offers, and each switch turned over.
ALTERNATIVES = [
    {entry.name: value}
    for group, entry in settings()
    if group == "mmgl" and entry.name != "select_metric"  # of held-out images; see test_model.py
    for value in (
        entry.metadata["choices"] or ((not entry.default,) if isinstance(entry.default, bool) else ())
    )
    if value != entry.default
]


def build(backbone="resnet10", stream="two", options=SMALL, jit_compile=False):
    model = Mmgl(Encoder(backbone, stream=stream, seed=1), options, 2, TrainingPlan())
    model.build_from(HEIGHT, WIDTH)
    model.compile(optimizer=TorchSGD(0.01), jit_compile=jit_compile)
    model.optimizer.build(model.trainable_variables)
    return model


def batch(stripes=6):
    dice = np.random.default_rng(0)
    images = {
        name: dice.standard_normal((PAIRS, HEIGHT, WIDTH, 3)).astype(np.float32)
        for name in ("visible", "infrared")
    }
    order = np.stack([dice.permutation(stripes) for _ in range(2 * PAIRS)]).astype(np.int32)
    return {**images, "permutation": order}


def fit(model, steps=1, stripes=6):
    data = tf.data.Dataset.from_tensors(batch(stripes)).repeat(steps)
    return model.fit(data, epochs=1, verbose=0, shuffle=False).history


@pytest.mark.parametrize("stream", ["one", "two"])
@pytest.mark.parametrize("backbone", ["resnet10", pytest.param("resnet50", marks=pytest.mark.slow)])
def test_a_step_moves_every_weight_and_gives_finite_figures(stream, backbone):
    model = build(backbone, stream)
    before = {variable.path: variable.numpy() for variable in model.trainable_variables}
    history = fit(model)
    assert all(np.isfinite(values[0]) for values in history.values())
    still = [v.path for v in model.trainable_variables if np.array_equal(v, before[v.path])]
    assert not still


NUMBERS = [
    {"sinkhorn_iters": 1},
    {"sinkhorn_tau": 0.5},
    {"gumbel_samples": 3},
    {"gumbel_scale": 0.3},
    {"perm_init_stddev": 0.5},
    {"part_embedding_size": 16},
    {"nce_tau": 0.3},
    {"snn_tau": 0.5},
    {"pcc_weight": 0.7},
    {"part_weight": 0.5},
]
# The figure that a setting must move; a switch takes its term away.
MOVES = {
    "pcc_stopgrad": "gradient/norm",
    "pcc_weight": "loss/total",
    "part_weight": "loss/total",
    "part_ce_input": "loss/part",
    "permutation": "loss/total",
    "part": "loss/total",
    "pcc": "loss/total",
}


@pytest.mark.parametrize(
    "changes", ALTERNATIVES + NUMBERS, ids=lambda changes: "-".join(map(str, *changes.items()))
)
def test_every_setting_of_the_method_does_what_it_is_for(changes):
    (name,) = changes
    # Ranks have a scale only where ranks are compared.
    base = dataclasses.replace(SMALL, perm_loss="rank") if name == "rank_scale" else SMALL
    # The soft neighbours' temperature follows the contrast's where it is not set.
    base = dataclasses.replace(base, snn_tau=0.07) if name == "nce_tau" else base
    default, changed = fit(build(options=base)), fit(build(options=dataclasses.replace(base, **changes)))
    assert all(np.isfinite(values[0]) for values in changed.values())
    family = (
        "permutation" if name.split("_")[0] in ("perm", "sinkhorn", "gumbel", "rank") else "cycle_contrast"
    )
    figure = MOVES.get(name, f"loss/{family}")
    assert changed[figure][0] != pytest.approx(default[figure][0], rel=1e-6)


def test_each_step_draws_other_noise():
    model = build()
    model.optimizer.learning_rate = 0.0
    data = {name: tf.constant(value) for name, value in batch().items()}
    first = float(model.train_step(data)["loss/permutation"])
    second = 2 * float(model.train_step(data)["loss/permutation"]) - first
    assert second != pytest.approx(first, rel=1e-4)


def test_the_step_compiles_under_xla_and_agrees():
    # With the Gumbel noise of the seed, whose logarithm is float32 and so differs by its rounding.
    with in_float64():
        plain, compiled = fit(build()), fit(build(jit_compile=True))
    for name in (name for name in plain if name.startswith("loss/")):
        same = 1e-6 if name in ("loss/permutation", "loss/total") else 1e-9
        assert compiled[name][0] == pytest.approx(plain[name][0], rel=same), name


@pytest.mark.parametrize("stripes", [2, 3])
def test_other_numbers_of_stripes(stripes):
    options = dataclasses.replace(SMALL, num_stripes=stripes)
    assert np.isfinite(fit(build(options=options), stripes=stripes)["loss/total"][0])


def test_more_than_six_stripes_recover_their_order_on_the_host():
    options = dataclasses.replace(SMALL, num_stripes=9)
    model = Mmgl(Encoder("resnet10", seed=1), options, 2, TrainingPlan())
    model.build_from(144, 32)
    model.compile(optimizer=TorchSGD(0.01))
    dice = np.random.default_rng(0)
    images = {
        name: dice.standard_normal((2, 144, 32, 3)).astype(np.float32) for name in ("visible", "infrared")
    }
    order = np.stack([dice.permutation(9) for _ in range(4)]).astype(np.int32)
    data = tf.data.Dataset.from_tensors({**images, "permutation": order})
    history = model.fit(data, epochs=1, verbose=0, shuffle=False).history
    assert np.isfinite(history["loss/total"][0])


def test_backbones_are_the_choices_of_the_flag():
    choices = {entry.name: entry.metadata["choices"] for _, entry in settings()}
    assert set(choices["backbone"]) == set(BACKBONES)
