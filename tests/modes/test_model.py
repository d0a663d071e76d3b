"""Settings reach what they are settings of."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.flags.config import from_flat, options_type
from mmgl_tf.flags.presets import FINETUNE_PRESETS, PRESETS
from mmgl_tf.modes.model import (
    build_embedder,
    build_model,
    compiles,
    milestones,
    prepare,
)
from mmgl_tf.pretraining.swav import SwAv
from mmgl_tf.training.plan import TrainingPlan

SMALL = PRESETS["demo"] | {"method": "mmgl", "image_width": 32, "part_embedding_size": 8}
PLAN = TrainingPlan(steps_per_epoch=10, num_identities=5)


def model_of(**changes):
    return build_model(from_flat(SMALL | changes), PLAN)


def test_optimiser_and_network_are_the_configurations():
    model = model_of(
        learning_rate=0.03,
        momentum=0.8,
        weight_decay=0.002,
        clip_norm=4.0,
        warmup_epochs=2.0,
        epochs=20,
        stream="one",
        backbone="resnet18",
        pcc_start_epoch=3,
    )
    optimizer = model.optimizer
    assert (optimizer.momentum, optimizer.coupled_weight_decay, optimizer.nesterov) == (0.8, 0.002, False)
    assert optimizer.global_clipnorm == 4.0
    assert optimizer.decay_norms and optimizer.decay_biases
    schedule = optimizer._learning_rate
    assert float(schedule(20)) == pytest.approx(0.03)  # the warm-up of 2 epochs of 10 steps has ended
    assert float(schedule(0)) == pytest.approx(0.03 / 20)
    assert (model.encoder.backbone, model.encoder.stream) == ("resnet18", "one")
    assert float(model.term_weight("cycle_contrast", np.int64(29))) == 0.0
    assert float(model.term_weight("cycle_contrast", np.int64(30))) == pytest.approx(0.2)


def test_the_authors_schedule_and_the_papers_defaults():
    model = model_of(lr_schedule="authors", warmup_epochs=10.0, epochs=100, clip_norm=0.0, wd_on_bn=False)
    schedule = model.optimizer._learning_rate
    assert float(schedule(0)) == pytest.approx(0.01)
    assert float(schedule(400)) == pytest.approx(0.05 * (1 + np.cos(np.pi * 40 / 100)))
    assert model.optimizer.global_clipnorm is None
    assert (model.optimizer.decay_norms, model.optimizer.decay_biases) == (False, True)


def psl_rates(**changes):
    """The rates of a PSL-style run in stages of 2, 1 and 3 epochs of 10 steps, a value for each step."""
    tiny = {"psl_permutations": 4, "jigsaw_permutations": 4, "jigsaw_hidden_size": 8}
    config = from_flat(PRESETS["demo"] | tiny | {"method": "psl", "epochs": 6} | changes)
    plan = TrainingPlan(10, 6, stages=(2, 1, 3))
    schedule = build_model(config, plan).optimizer._learning_rate
    return np.array([float(schedule(step)) for step in range(60)])


def test_each_stage_begins_its_schedule_anew():
    rates = psl_rates(warmup_epochs=1.2, learning_rate=0.1)
    stages = rates[:20], rates[20:30], rates[30:]
    for stage, warm in zip(stages, (4, 2, 6), strict=True):
        # A fifth of the stage, as of the run; then a cosine over the rest of the stage.
        np.testing.assert_allclose(stage[:warm], 0.1 * np.arange(1, warm + 1) / warm, rtol=1e-5)
        share = np.arange(len(stage) - warm) / (len(stage) - warm)
        np.testing.assert_allclose(stage[warm:], 0.05 * (1 + np.cos(np.pi * share)), rtol=1e-4)


def test_milestones_are_at_the_same_shares_of_each_stage():
    rates = psl_rates(
        lr_schedule="step", lr_milestones="2,4", warmup_epochs=0.0, learning_rate=0.1, clip_norm=0.0
    )
    for stage in (rates[:20], rates[20:30], rates[30:]):
        thirds = np.ceil(len(stage) * np.array([1, 2]) / 3)
        expected = 0.1 ** (1 + sum(np.arange(len(stage)) >= third for third in thirds))
        np.testing.assert_allclose(stage, expected, rtol=1e-5)


def test_seed_and_stem_init_reach_the_weights():
    first, again, other = model_of(), model_of(), model_of(seed=5)
    names = [variable.path for variable in first.trainable_variables if variable.path.endswith("kernel")]
    values = [
        {variable.path: variable.numpy() for variable in model.trainable_variables}
        for model in (first, again, other)
    ]
    assert all(np.array_equal(values[0][name], values[1][name]) for name in names)
    assert not any(np.array_equal(values[0][name], values[2][name]) for name in names)
    assert (first.seed, other.seed) == (0, 5)

    def stems(model):
        encoder = model.encoder
        return [stem.weights[0].numpy() for stem in (encoder.stem_visible, encoder.stem_infrared)]

    assert np.array_equal(*stems(first))
    assert not np.array_equal(*stems(model_of(stem_init="independent")))


def test_selection_takes_the_mean_over_modalities_of_the_chosen_accuracy():
    logs = {
        "val_accuracy/permutation_whole_visible": 0.2,
        "val_accuracy/permutation_whole_infrared": 0.4,
        "val_accuracy/permutation_stripe_visible": 0.6,
        "val_accuracy/permutation_stripe_infrared": 0.8,
        "val_accuracy/part_visible": 0.5,
        "val_accuracy/part_infrared": 0.1,
    }
    assert model_of().score(logs) == pytest.approx(0.3)
    assert model_of(select_metric="stripe").score(logs) == pytest.approx(0.7)
    assert model_of(permutation=False).score(logs) == pytest.approx(0.3)
    assert model_of(permutation=False).score({"loss/total": 1.0}) is None


def finetuning_of(**changes):
    flat = FINETUNE_PRESETS["demo"] | {"image_width": 32} | changes
    return build_model(from_flat(flat), PLAN)


def test_fine_tunings_network_and_optimiser_are_the_configurations():
    model = finetuning_of(
        method="agw", non_local_width=2, gem_power=2.0, trunk_lr_multiplier=0.25, learning_rate=0.03, seed=4
    )
    assert (model.name, model.encoder.stream, model.plan.num_identities, model.seed) == ("agw", "two", 5, 4)
    assert model.classifier.kernel.shape == (256, 5)
    assert model.embedder.pooling.p == 2.0
    assert {block.inner_channels for block in model.embedder.non_local.values()} == {2}
    assert model.optimizer.learning_rate_multipliers == {"encoder/": 0.25, "non_local_": 0.25}
    assert model.optimizer.nesterov and model.optimizer.momentum == 0.9
    assert model.optimizer.coupled_weight_decay == 5e-4 and model.optimizer.decay_norms
    assert float(model.optimizer._learning_rate(10)) == pytest.approx(0.03)  # one epoch of warm-up


def test_the_method_decides_the_stems_whatever_stream_says():
    assert finetuning_of(method="one_stream", stream="two").encoder.stream == "one"
    assert finetuning_of(method="two_stream", stream="one").encoder.stream == "two"
    assert build_embedder(from_flat(FINETUNE_PRESETS["demo"] | {"method": "one_stream"})).encoder.stream == (
        "one"
    )


def test_the_embedder_of_evaluation_is_the_trained_models(tmp_path):
    flat = FINETUNE_PRESETS["demo"] | {"image_width": 32, "method": "agw", "seed": 3}
    model, embedder = finetuning_of(method="agw", seed=3), build_embedder(from_flat(flat))
    assert [v.path for v in embedder.weights] == [v.path for v in model.embedder.weights]
    assert all(np.array_equal(a, b) for a, b in zip(embedder.weights, model.embedder.weights, strict=True))


def test_the_authors_cosine_ends_fine_tunings_last_epoch_at_0_and_pre_trainings_just_above():
    """Their log: 81 epochs of fine-tuning with a period of 80; the last epoch's rate is 0."""
    own = {"lr_schedule": "authors", "epochs": 9, "warmup_epochs": 1.0, "learning_rate": 0.1}
    rate = finetuning_of(mode="finetune", **own).optimizer._learning_rate
    rates = [float(rate(10 * epoch)) for epoch in range(9)]
    assert rates == pytest.approx([0.1, *(0.05 * (1 + np.cos(np.pi * np.arange(1, 9) / 8)))], abs=1e-8)
    rate = model_of(mode="pretrain", **own).optimizer._learning_rate
    assert float(rate(80)) == pytest.approx(0.05 * (1 + np.cos(np.pi * 8 / 9)))
    rate = finetuning_of(mode="finetune", **(own | {"lr_schedule": "offset"})).optimizer._learning_rate
    assert float(rate(80)) > 0, "other schedules keep their period"
    single = finetuning_of(mode="finetune", **(own | {"epochs": 1, "warmup_epochs": 0.0}))
    assert float(single.optimizer._learning_rate(0)) == pytest.approx(0.1)


def test_a_runs_precision_does_not_reach_the_next_run(monkeypatch):
    monkeypatch.setattr(keras.utils, "set_random_seed", lambda seed: None)
    for precision, policy in (
        ("bfloat16", "mixed_bfloat16"),
        ("float16", "mixed_float16"),
        ("float32", "float32"),
    ):
        prepare(from_flat({"precision": precision, "deterministic": False}))
        assert keras.mixed_precision.global_policy().name == policy
        assert tf.config.experimental.tensor_float_32_execution_enabled() == (precision == "float32")


def test_fine_tuning_steps_down_at_its_milestones():
    model = finetuning_of(lr_schedule="step", lr_milestones="3, 5", epochs=8, warmup_epochs=2.0)
    rates = [float(model.optimizer._learning_rate(10 * epoch)) for epoch in range(8)]
    assert rates == pytest.approx([0.05, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001, 0.001])
    assert milestones("20,50") == (20, 50)
    assert milestones("") == ()


@pytest.mark.parametrize(
    ("gpus", "replicas", "changes", "expected"),
    [
        (0, 1, {"deterministic": False}, False),
        (1, 1, {"deterministic": False}, True),
        (1, 1, {}, False),
        (2, 2, {"deterministic": False}, False),
        (1, 1, {"deterministic": False, "accumulate": 2}, False),
        (1, 1, {"deterministic": False, "num_stripes": 9, "image_height": 288}, False),
        (0, 1, {"jit_compile": "on"}, True),
        (1, 1, {"jit_compile": "off", "deterministic": False}, False),
    ],
)
def test_xla_compiles_on_one_gpu_unless_it_is_told_otherwise(monkeypatch, gpus, replicas, changes, expected):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["a GPU"] * gpus)
    assert compiles(from_flat({"mode": "pretrain", "method": "mmgl"} | changes), replicas) is expected


def test_xla_on_replicas_is_refused():
    with pytest.raises(ValueError, match="--jit_compile=on on 2 replicas"):
        compiles(from_flat({"jit_compile": "on"}), 2)


def test_only_lars_takes_the_form_of_swavs_authors():
    model = types.SimpleNamespace(options=options_type("swav")(swav_adapt_vectors=True))
    assert SwAv.optimizer_options(model, "lars") == {"form": "larc", "adapt_vectors": True}
    assert SwAv.optimizer_options(model, "sgd") == {}
    model.options = options_type("swav")()
    assert SwAv.optimizer_options(model, "lars") == {}


def test_settings_of_scale_reach_the_model():
    model = model_of(accumulate=3, precision="float16")
    keras.mixed_precision.set_global_policy("float32")
    assert model.accumulate == 3
    assert model.optimizer.dynamic_loss_scale and not model_of().optimizer.dynamic_loss_scale
    assert model.jit_compile is False
