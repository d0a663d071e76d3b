import math

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.figures import chance_values
from mmgl_tf.flags.config import options_type
from mmgl_tf.losses.colours.classification import colour_rows
from mmgl_tf.losses.colours.prior import best_constant
from mmgl_tf.pipelines.records import VISIBLE
from mmgl_tf.pretraining.colorization import Colorization
from mmgl_tf.pretraining.colour_survey import colour_survey
from mmgl_tf.training.checkpoints import collect, restore
from mmgl_tf.training.plan import TrainingPlan
from tests.mmgl_tf.pretraining.one_modality import HEIGHT, WIDTH, batch, build


def surveyed(seed=0, colours=6):
    """A plan whose images have few colours."""
    dice = np.random.default_rng(seed)
    patches = dice.integers(0, 256, (4, colours, 1, 3), np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    return TrainingPlan(batch_size=4, modalities=1, survey=colour_survey(patches))


def test_head_and_chance_have_the_bins_of_the_survey():
    plan = surveyed()
    count = len(plan.survey["bins"])
    model = build("colorization", plan=plan)
    assert model.colour_head.num_bins == count < 261
    chance = chance_values(model.shown)
    assert chance["validation/accuracy/colour_visible"] == 1 / count
    assert chance["colour/cross_entropy"] == pytest.approx(math.log(count))
    assert chance["loss/colour"] == pytest.approx(math.log(count) * plan.survey["mean_weight"])
    text = str(model.notes())
    best = best_constant(plan.survey["prior"], plan.survey["weights"])
    assert f"{count} bins" in text and "4 visible training images" in text and f"{best:.1%}" in text


def test_recipe_shows_visible_images_alone_whose_colours_nothing_changes():
    recipe = Colorization.recipe(options_type("colorization")())
    assert recipe.modalities == (VISIBLE,)
    assert [type(operation).__name__ for operation in recipe.views[0].chain] == ["PadCropFlip"]
    assert Colorization.held_out(None).recipe.views[0].chain == ()


@pytest.mark.parametrize("infrared", ["skip", "both"])
def test_losses_are_the_rows_means(infrared):
    model = build("colorization", plan=surveyed(), colorization_infrared=infrared)
    data = batch(model)
    ab = data["ab"].numpy()
    ab[1] = 2.0  # grey
    data["ab"] = tf.constant(ab)
    outputs = model.outputs(data)
    stems = 2 if infrared == "both" else 1
    assert {value.shape[0] for value in outputs.values()} == {4 * stems}
    shown = dict.fromkeys(("visible", "infrared")[:stems], data["visible"])
    scores = model.colour_head(model.encoder(shown, training=True), training=True)
    colours = np.concatenate([ab] * stems)
    rows = colour_rows(scores, colours, model.bins.numpy(), model.weights_of_bins.numpy())
    terms, measures = model.losses(outputs, None)
    assert terms["colour"].numpy() == pytest.approx(rows["weighted"].numpy().mean(), rel=1e-5)
    assert measures["colour/cross_entropy"].numpy() == pytest.approx(rows["plain"].numpy().mean(), rel=1e-5)
    assert measures["colour/grey_images"].numpy() == 0.25
    right, weight = (rows[name].numpy().sum() for name in ("right", "weight"))
    assert measures["accuracy/colour"].numpy() == pytest.approx(right / weight, rel=1e-5)
    assert set(measures) == {f.name for f in model.figures(model.options, model.plan)} - {"loss/colour"}


def test_held_out_accuracy_is_a_ratio_of_sums_without_padding():
    model = build("colorization", plan=surveyed())
    outputs = {
        "right": tf.constant([0.2, 0.0, 1.0, 9.0]),
        "colours": tf.constant([0.4, 1.0, 1.5, 9.0]),
        "weight": tf.constant([1.0, 1.0, 1.0, 0.0]),
    }
    ((name, (values, weights)),) = model.validation_figures(outputs).items()
    assert name == "accuracy/colour_visible" and set(model.validation_means) == {name}
    mean = tf.reduce_sum(values * weights) / tf.reduce_sum(weights)
    assert mean.numpy() == pytest.approx(1.2 / 2.9, rel=1e-6)
    data = batch(model) | {"weight": tf.constant([1.0, 1.0, 0.0, 0.0])}
    assert set(model.test_step(data)) == {name}
    assert model.score({f"val_{name}": 0.3, "val_other": 0.9}) == pytest.approx(0.3)
    # By moving statistics, which stay as they are: images do not meet.
    model.outputs(data)
    before, together = collect(model), model.validation_outputs(data)
    alone = model.validation_outputs({name: value[:1] for name, value in data.items()})
    for name, value in alone.items():
        np.testing.assert_allclose(together[name][:1], value, rtol=1e-4, atol=1e-6, err_msg=name)
    assert all(np.array_equal(value, before[name]) for name, value in collect(model).items())


def test_bins_prior_and_weights_are_resumed():
    first, second = build("colorization", plan=surveyed(0, 3)), build("colorization", plan=surveyed(0, 3))
    first.train_step(batch(first))
    second.prior.assign(second.prior * 0.0)
    second.weights_of_bins.assign(second.weights_of_bins * 2.0)
    restore(second, collect(first))
    for model in (first, second):
        model.train_step(batch(model, 1))
    one, other = collect(first), collect(second)
    assert {f"weight/colour_{what}" for what in ("bins", "prior", "weights")} <= set(one)
    assert all(np.array_equal(value, other[name]) for name, value in one.items())
    with pytest.raises(ValueError, match="the checkpoint does not fit"):
        restore(build("colorization", plan=surveyed(1, 6)), one)


def test_colours_that_follow_from_lightness_are_learnt():
    """Dark cells are blue, light ones yellow."""
    model = build("colorization", plan=surveyed())
    dice = np.random.default_rng(0)
    light = dice.choice([-1.0, 1.0], (4, HEIGHT // 16, WIDTH // 16))
    places = model.bins.numpy()
    ends = places[places[:, 1].argmin()], places[places[:, 1].argmax()]
    cells = light.repeat(4, axis=1).repeat(4, axis=2)[..., None]
    images = light.repeat(16, axis=1).repeat(16, axis=2)[..., None] * np.ones(3)
    data = {
        "visible": tf.constant(images, tf.float32),
        "ab": tf.constant(np.where(cells < 0, *ends), tf.float32),
    }
    for _ in range(8):
        for mean in model.metrics:
            mean.reset_state()
        figures = model.train_step(data)
    assert figures["accuracy/colour"] > 0.8


def test_pictures_show_true_and_predicted_colours():
    model = build("colorization", plan=surveyed())
    data = {name: value.numpy() for name, value in batch(model, images=3).items()}
    found = {name: value.numpy() for name, value in model.probed(batch(model, images=3)).items()}
    assert found["features"].shape[0] == found["ab"].shape[0] == 3
    scale = (np.full(3, 0.5), np.full(3, 0.25))
    pictures = model.probe_pictures(found, data, (None, None), "held-out images", scale)
    pictures |= model.batch_pictures(data, scale)
    assert set(pictures) == {"predicted_colours", "colours_asked_for"}
    # Grey above, colours below.
    for picture in pictures.values():
        assert picture.dtype == np.uint8
        coloured = np.ptp(picture.astype(int), axis=-1).max(axis=1) > 20
        assert coloured.any() and not coloured[: np.flatnonzero(coloured)[0]].any()
