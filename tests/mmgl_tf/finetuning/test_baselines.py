"""What is particular to the baselines: their figures, features, learning rates and settings."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning import FINETUNING
from mmgl_tf.flags.config import GROUPS, options_type
from mmgl_tf.flags.methods import groups_read
from mmgl_tf.optimizers.torch_sgd import TorchSGD
from mmgl_tf.training.plan import TrainingPlan

BASELINES = ("one_stream", "two_stream", "agw")
HEIGHT, WIDTH, PEOPLE, EACH = 64, 32, 3, 2


def build(method="two_stream", backbone="resnet10", options=None, seed=2):
    options = options or options_type(method)()
    kind = FINETUNING[method]
    model = kind(
        Encoder(backbone, kind.STREAM, seed=seed), options, seed, TrainingPlan(num_identities=PEOPLE)
    )
    model.build_from(HEIGHT, WIDTH)
    multipliers = model.learning_rate_multipliers()
    optimizer = TorchSGD(0.01, weight_decay=5e-4, learning_rate_multipliers=multipliers)
    model.compile(optimizer=optimizer, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def batch():
    dice = np.random.default_rng(0)
    labels = np.repeat(np.arange(PEOPLE, dtype=np.int32), EACH)
    size = (len(labels), HEIGHT, WIDTH, 3)
    images = {name: dice.standard_normal(size).astype(np.float32) for name in ("visible", "infrared")}
    return {**images, "labels": np.concatenate([labels, labels])}


def step(model, steps=1):
    """Eager steps: tracing a graph would cost more than they do. The figures of the last one."""
    data = {name: tf.constant(value) for name, value in batch().items()}
    for _ in range(steps):
        for mean in model.metrics:
            mean.reset_state()
        figures = model.train_step(data)
    return {name: float(value) for name, value in figures.items()}


def values(variables):
    return {variable.path: variable.numpy() for variable in variables}


@pytest.mark.parametrize("method", BASELINES)
def test_the_total_is_the_sum_of_cross_entropy_and_triplet(method):
    figures = step(build(method))
    assert set(figures) == {
        "loss/total",
        "loss/identity",
        "loss/triplet",
        "accuracy/identity",
        "accuracy/triplet",
        "embedding/spread",
        "gradient/norm",
    }
    assert figures["loss/total"] == pytest.approx(figures["loss/identity"] + figures["loss/triplet"])


@pytest.mark.parametrize("method", BASELINES)
def test_the_method_says_how_many_stems_its_encoder_has(method):
    expected = "one" if method == "one_stream" else "two"
    assert FINETUNING[method].STREAM == build(method).encoder.stream == expected


def test_what_blocks_the_gradient_of_non_local_blocks_is_open_after_a_step():
    model = build("agw")
    inner = [v for v in model.trainable_variables if v.path.startswith("non_local_") and "theta" in v.path]
    assert len(inner) == 4  # two blocks, kernel and bias

    def gradients():
        with tf.GradientTape() as tape:
            terms, _ = model.loss_terms(batch(), None)
            total = tf.add_n(list(terms.values()))
        return [np.abs(gradient).max() for gradient in tape.gradient(total, inner)]

    assert max(gradients()) == 0.0
    step(model)
    assert min(gradients()) > 0.0


@pytest.mark.parametrize("method", BASELINES)
def test_every_weight_is_in_the_learning_rate_group_that_it_belongs_to(method):
    model = build(method, options=options_type(method)(trunk_lr_multiplier=0.25))
    factors = dict(zip(values(model.trainable_variables), model.optimizer.factors, strict=True))
    expected = {
        path: 1.0
        if path in ("neck/gamma", "classifier/kernel")
        else 0.25
        if path.startswith(("encoder/", "non_local_"))
        else None
        for path in factors
    }
    assert factors == expected
    assert {"neck/gamma", "classifier/kernel"} <= set(factors), "neither a neck's offset nor a class's bias"
    assert not [path for path in factors if path.startswith(("neck/", "classifier/")) and expected[path] != 1]
    assert bool([path for path in factors if path.startswith("non_local_")]) == (method == "agw")
    assert any(path.startswith("encoder/stem") for path in factors)


@pytest.mark.parametrize("method", BASELINES)
def test_classifier_reads_the_neck_and_the_metric_loss_what_lies_before_it(method):
    model = build(method)
    labels = batch()["labels"]
    outputs = model({name: batch()[name] for name in ("visible", "infrared")}, training=True)
    np.testing.assert_allclose(
        outputs["logits"], outputs["neck"].numpy() @ model.classifier.kernel.numpy(), rtol=1e-4, atol=1e-6
    )
    # Training normalises by the batch: zero mean, and gamma's scale.
    np.testing.assert_allclose(outputs["neck"].numpy().mean(axis=0), 0.0, atol=1e-5)
    terms, measures = model.loss_terms(batch(), None)
    expected, seen = model.metric_loss(outputs["pool"], labels)
    assert float(terms["triplet"]) == pytest.approx(float(expected))
    assert float(measures["accuracy/triplet"]) == float(seen["accuracy/triplet"])
    other, _ = model.metric_loss(outputs["neck"], labels)
    assert float(other) != pytest.approx(float(expected), rel=1e-3)


# setting: (method, another value, the figure that it must move)
FIGURES = {
    "batch_hard_form": ("two_stream", "soft", "loss/triplet"),
    "batch_hard_features": ("two_stream", "unit", "loss/triplet"),
    "triplet_margin": ("two_stream", 0.9, "loss/triplet"),
    "triplet_weight": ("two_stream", 0.5, "loss/total"),
    "triplet_form": ("agw", "stable", "loss/triplet"),
    "gem_power": ("agw", 1.0, "loss/triplet"),
    "non_local_width": ("agw", 3, "gradient/norm"),
}
# setting: where it is tested instead.
ELSEWHERE = {
    "trunk_lr_multiplier": "test_the_trunk_learns_slower_by_its_factor",
    "init": "modes/test_saved_run.py",
    "init_weights": "modes/test_saved_run.py",
    "stem_from": "mmgl_tf/finetuning/test_transfer.py",
    "identities_per_batch": "test_finetuning_end_to_end.py",
    "images_per_identity": "test_finetuning_end_to_end.py",
    "retrieval_every_epochs": "modes/training/test_validation_retrieval.py",
    "retrieval_metric": "test_finetuning_end_to_end.py",
}


def test_every_setting_of_fine_tuning_is_tested():
    groups = {group for method in BASELINES for group in groups_read(method)} | {"finetuning"}
    names = {entry.name for group in groups for entry in dataclasses.fields(GROUPS[group])}
    assert names == set(FIGURES) | set(ELSEWHERE)


@pytest.mark.parametrize("name", FIGURES)
def test_every_setting_of_the_method_does_what_it_is_for(name):
    method, value, figure = FIGURES[name]
    default = step(build(method))
    changed = step(build(method, options=options_type(method)(**{name: value})))
    assert all(np.isfinite(value) for value in changed.values())
    assert changed[figure] != pytest.approx(default[figure], rel=1e-6)
    if name == "triplet_weight":
        assert changed["loss/triplet"] == pytest.approx(default["loss/triplet"])
        assert changed["loss/total"] == pytest.approx(default["loss/identity"] + default["loss/triplet"] / 2)


def test_the_trunk_learns_slower_by_its_factor():
    moved = {}
    for factor in (1.0, 0.1, 0.0):
        model = build("agw", options=options_type("agw")(trunk_lr_multiplier=factor))
        before = values(model.trainable_variables)
        step(model)
        moved[factor] = {v.path: v.numpy() - before[v.path] for v in model.trainable_variables}
    for path, difference in moved[1.0].items():
        slow = path.startswith(("encoder/", "non_local_"))
        share = 0.1 if slow else 1.0
        np.testing.assert_allclose(moved[0.1][path], share * difference, atol=2e-7, err_msg=path)
        assert np.any(moved[0.0][path]) != slow, path
