import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.training.plan import TrainingPlan
from tests.contracts.cases import take_step
from tests.mmgl_tf.pretraining.pixel_encoder import IMAGES, Weights, batch, build

PLAN = TrainingPlan(steps_per_epoch=3, epochs=4, batch_size=IMAGES)
START, STEPS = 0.6, 12


def followed(model):
    """{path of a trained weight: its copy's path}."""
    paths = [v.path for v in model.trained_variables if not v.path.startswith("predictor/")]
    return {path: f"target_{path}" for path in paths}


def test_the_copy_starts_equal_and_follows_the_updated_network_by_the_steps_gone_by():
    model = build("byol", PLAN, byol_momentum=START)
    values = {variable.path: variable.numpy() for variable in model.variables}
    pairs, expected = followed(model), {}
    assert {variable.path for variable in model.copy.variables} == set(pairs.values())
    for path, copy in pairs.items():
        np.testing.assert_array_equal(values[copy], values[path], err_msg=path)
        expected[copy] = values[path]
    for update in (1, 2):
        figures = take_step(model, batch(seed=update))
        share = 1 - (1 - START) * (1 + np.cos(np.pi * (update - 1) / STEPS)) / 2
        assert figures["target/momentum"] == pytest.approx(share, rel=1e-6)
        moved = {variable.path: variable.numpy() for variable in model.variables}
        for path, copy in pairs.items():
            expected[copy] = share * expected[copy] + (1 - share) * moved[path]
            np.testing.assert_allclose(moved[copy], expected[copy], rtol=1e-5, atol=1e-6, err_msg=path)
        assert np.abs(moved["projector/linear1/kernel"] - values["projector/linear1/kernel"]).max() > 1e-3


def test_targets_are_the_copys_projections_by_its_own_batch_statistics_and_constant():
    model = build("byol", PLAN)
    dice = np.random.default_rng(1)
    for variable in model.copy.variables:
        variable.assign(dice.uniform(0.2, 1.0, variable.shape))
    weights, images = Weights(model), batch()
    with tf.GradientTape() as tape:
        outputs = model.outputs(images)
        total = tf.reduce_sum(outputs["target_1"] ** 2) + tf.reduce_sum(outputs["target_2"] ** 2)
    assert all(gradient is None for gradient in tape.gradient(total, model.trainable_variables))
    for number, suffix in ((1, ""), (2, "_2")):
        shown = np.concatenate([images[f"{m}{suffix}"] for m in ("visible", "infrared")])
        shown = weights.norm(shown @ weights("target_encoder/matrix/kernel"), "target_encoder/norm")
        hidden = weights.hidden(shown.mean(axis=(1, 2)), "target_projector", 1)
        expected = weights.linear(hidden, "target_projector/linear2")
        np.testing.assert_allclose(outputs[f"target_{number}"], expected, rtol=1e-3, atol=1e-4)
