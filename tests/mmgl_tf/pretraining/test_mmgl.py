"""Acceptance checks of the whole model on small images."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.flags.config import options_type
from mmgl_tf.optimizers.torch_sgd import TorchSGD
from mmgl_tf.pretraining.mmgl import Mmgl
from mmgl_tf.training.plan import TrainingPlan

Options = options_type("mmgl")
HEIGHT, WIDTH, PAIRS = 96, 32, 8
OPTIONS = Options(part_embedding_size=32)


def make_model(options=OPTIONS, stream="two", plan=TrainingPlan()):  # noqa: B008
    model = Mmgl(Encoder("resnet10", stream=stream, seed=1), options, seed=3, plan=plan)
    model.build_from(HEIGHT, WIDTH)
    model.compile(optimizer=TorchSGD(0.05, momentum=0.9, weight_decay=5e-4))
    model.optimizer.build(model.trainable_variables)
    return model


def make_batch(pairs=PAIRS, seed=0):
    """Images whose stripes can be told apart: smooth vertical gradients with noise, cut and shuffled."""
    dice = np.random.default_rng(seed)
    order = np.stack([dice.permutation(6) for _ in range(pairs)]).astype(np.int32)
    images = {}
    for name in ("visible", "infrared"):
        ramp = np.linspace(-1.5, 1.5, HEIGHT)[None, :, None, None]
        whole = ramp + 0.5 * dice.standard_normal((pairs, HEIGHT, WIDTH, 3))
        stripes = whole.reshape(pairs, 6, HEIGHT // 6, WIDTH, 3)
        shuffled = np.take_along_axis(stripes, order[:, :, None, None, None], axis=1)
        images[name] = shuffled.reshape(pairs, HEIGHT, WIDTH, 3).astype(np.float32)
    return {**images, "permutation": np.concatenate([order, order])}


def terms_of(model, batch, seed=(3, 0)):
    terms, measures = model.loss_terms({k: tf.constant(v) for k, v in batch.items()}, tf.constant(seed))
    return {name: float(value) for name, value in terms.items()}, measures


def test_losses_start_where_a_network_that_knows_nothing_must():
    terms, measures = terms_of(make_model(), make_batch())
    # 5 for a uniform soft permutation; Gumbel noise of scale 1 adds about one.
    assert 5.0 < terms["permutation"] < 6.6
    assert terms["part"] == pytest.approx(np.log(6), rel=0.1)
    # Batch norm in the head, the default, already hands the contrast a part of the answer.
    assert terms["cycle_contrast"] < 1.05 * np.log(6 * PAIRS)
    bare = make_model(dataclasses.replace(OPTIONS, pcb_bn=False))
    assert (
        0.5 * np.log(6 * PAIRS) < terms_of(bare, make_batch())[0]["cycle_contrast"] < 1.05 * np.log(6 * PAIRS)
    )
    ranked = make_model(dataclasses.replace(OPTIONS, perm_loss="rank", perm_reduction="mean"))
    assert 2.9 < terms_of(ranked, make_batch())[0]["permutation"] < 3.9
    assert float(measures["sinkhorn/row_error"]) < 0.1


@pytest.mark.slow
def test_the_model_learns_a_few_images_by_heart():
    """8 + 8 images, fixed permutations: rank loss < .05, all permutations right (300 steps allowed)."""
    model = make_model()
    batch = make_batch()
    data = tf.data.Dataset.from_tensors(batch).repeat()
    model.fit(data, steps_per_epoch=80, epochs=1, verbose=0, shuffle=False)
    quiet = model.gumbel_sinkhorn(
        model({k: batch[k] for k in ("visible", "infrared")}, training=True)["permutation_logits"]
    )
    ranks = tf.einsum("gbij,bi->gbj", quiet, tf.cast(batch["permutation"], tf.float32))
    assert float(tf.reduce_mean((ranks - tf.range(6.0)) ** 2)) < 0.05
    figures = model.loss_terms({k: tf.constant(v) for k, v in batch.items()}, tf.constant([0, 0]))[1]
    assert float(figures["accuracy/permutation_whole"]) == 1.0
    assert float(figures["accuracy/part"]) == 1.0


def test_permuting_the_pairs_together_changes_no_loss():
    model, batch = make_model(), make_batch()
    quiet = dataclasses.replace(OPTIONS, gumbel_scale=0.0)
    model.gumbel_sinkhorn.noise_scale = quiet.gumbel_scale
    order = np.random.default_rng(5).permutation(PAIRS)
    both = np.concatenate([order, PAIRS + order])
    moved = {name: batch[name][order] for name in ("visible", "infrared")}
    moved["permutation"] = batch["permutation"][both]
    before, after = terms_of(model, batch)[0], terms_of(model, moved)[0]
    for name in before:
        assert after[name] == pytest.approx(before[name], rel=1e-5), name


def test_a_two_stream_encoder_knows_the_modality_and_a_one_stream_does_not():
    batch = make_batch()
    for stream, same in (("two", False), ("one", True)):
        model = make_model(stream=stream)
        if stream == "two":  # The stems start equal; a step makes them differ.
            model.train_step({name: tf.constant(value) for name, value in batch.items()})
        as_visible = model.encoder({"visible": batch["infrared"]}, training=False)
        as_infrared = model.encoder({"infrared": batch["infrared"]}, training=False)
        assert np.allclose(as_visible, as_infrared, atol=1e-6) is same


def test_mixed_precision_is_the_trunks_alone():
    """How near its losses are to the exact ones: `tests/mmgl_tf/training/step/test_precision.py`."""
    batch = make_batch()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    mixed = make_model()
    heads = mixed({name: batch[name] for name in ("visible", "infrared")}, training=True)
    assert {value.dtype for value in heads.values()} == {tf.float32}
    assert mixed.encoder({"visible": batch["visible"]}, training=False).dtype == tf.bfloat16
    terms, _ = mixed.loss_terms({name: tf.constant(v) for name, v in batch.items()}, tf.constant([3, 0]))
    assert {value.dtype for value in terms.values()} == {tf.float32}


@pytest.mark.parametrize("term", ["permutation", "part", "pcc"])
def test_each_term_has_a_switch_that_takes_its_loss_and_gradient_away(term):
    model = make_model(dataclasses.replace(OPTIONS, **{term: False}))
    name = "cycle_contrast" if term == "pcc" else term
    batch = {key: tf.constant(value) for key, value in make_batch().items()}
    assert name not in terms_of(model, batch)[0]
    logs = model.train_step(batch)
    assert f"loss/{name}" not in logs
    assert np.isfinite(float(logs["loss/total"]))


def test_the_total_is_the_weighted_sum_of_equation_7():
    options = dataclasses.replace(OPTIONS, pcc_weight=0.35, part_weight=0.8)
    logs = make_model(options).train_step({key: tf.constant(value) for key, value in make_batch().items()})
    expected = logs["loss/permutation"] + 0.8 * logs["loss/part"] + 0.35 * logs["loss/cycle_contrast"]
    assert float(logs["loss/total"]) == pytest.approx(float(expected), rel=1e-6)
    assert float(logs["loss/cycle_contrast"]) > 0.1


def test_the_cycle_contrast_may_start_later():
    model = make_model(dataclasses.replace(OPTIONS, pcc_start_epoch=1), plan=TrainingPlan(steps_per_epoch=2))
    weights = [float(model.term_weight("cycle_contrast", tf.constant(step))) for step in (0, 1, 2, 3)]
    assert weights == pytest.approx([0.0, 0.0, 0.2, 0.2])
    assert model.term_weight("part", tf.constant(0)) == 1.0


def test_the_noise_is_a_function_of_seed_and_step_alone():
    model, batch = make_model(), make_batch()
    state = model.get_weights()

    def permutation_loss(seed):
        model.set_weights(state)
        return terms_of(model, batch, seed)[0]["permutation"]

    assert permutation_loss((3, 0)) == permutation_loss((3, 0))
    assert permutation_loss((3, 0)) != permutation_loss((3, 1))
    assert permutation_loss((3, 0)) != permutation_loss((4, 0))


def test_validation_counts_each_modality_apart_and_leaves_padding_out():
    model, batch = make_model(), make_batch(pairs=4)
    weight = np.array([1, 1, 0, 0, 1, 0, 0, 0], np.float32)
    figures = model.validation_figures(
        model.validation_outputs({**{k: tf.constant(v) for k, v in batch.items()}, "weight": weight})
    )
    assert set(figures) == set(model.validation_means)
    values, weights = figures["accuracy/permutation_stripe_infrared"]
    assert values.shape == (4,) and list(weights) == [1, 0, 0, 0]
    logs = model.test_step({**{k: tf.constant(v) for k, v in batch.items()}, "weight": tf.constant(weight)})
    assert float(logs["accuracy/permutation_stripe_infrared"]) == pytest.approx(float(values[0]))
