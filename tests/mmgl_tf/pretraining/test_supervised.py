import math

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.figures import chance_values
from mmgl_tf.flags.config import options_type
from mmgl_tf.losses.identity_order import identity_order
from mmgl_tf.pipelines.batches.recipe import baseline_views
from mmgl_tf.pipelines.records import INFRARED, VISIBLE
from mmgl_tf.pretraining.supervised import Supervised
from tests.mmgl_tf.pretraining.one_modality import PEOPLE, batch, build

SHOWN = {"visible": (VISIBLE,), "infrared": (INFRARED,), "both": (VISIBLE, INFRARED)}


@pytest.mark.parametrize("named", SHOWN)
def test_the_modalities_that_are_named_are_shown_and_measured(named):
    options = options_type("supervised")(supervised_modalities=named)
    for recipe in (Supervised.recipe(options), Supervised.held_out(options).recipe):
        assert recipe.modalities == SHOWN[named] and recipe.labelled
    chains = {view.modality: view.chain for view in baseline_views(options)}
    assert all(v.chain == chains[v.modality] for v in Supervised.recipe(options).views)

    model = build("supervised", supervised_modalities=named)
    data = batch(model)
    figures = model.train_step(data)
    assert figures["loss/identity"].numpy() == pytest.approx(math.log(PEOPLE), rel=0.3)
    found = model.test_step(data | {"weight": tf.ones(len(data["labels"]))})
    assert set(found) == {f"accuracy/identity_order_{m}" for m in model.modalities}


def test_chance_is_of_the_classes_and_a_half():
    chance = chance_values(build("supervised").shown)
    assert chance["loss/identity"] == pytest.approx(math.log(PEOPLE))
    assert chance["accuracy/identity"] == pytest.approx(1 / PEOPLE)
    assert chance["validation/accuracy/identity_order_visible"] == 0.5


def test_held_out_people_are_compared_within_a_modality():
    model = build("supervised", supervised_modalities="both")
    dice = np.random.default_rng(0)
    features, labels = dice.standard_normal((8, 5)).astype("float32"), np.array([0, 0, 1, 2, 0, 1, 1, 1])
    weight = np.array([1, 1, 1, 1, 1, 1, 1, 0], np.float32)
    outputs = {"features": features, "labels": labels, "weight": weight}
    found = model.validation_figures({name: tf.constant(value) for name, value in outputs.items()})
    for modality, rows in (("visible", slice(0, 4)), ("infrared", slice(4, 8))):
        values, counts = identity_order(features[rows], labels[rows])
        got = found[f"accuracy/identity_order_{modality}"]
        np.testing.assert_array_equal(got[0], values)
        np.testing.assert_array_equal(got[1], counts * weight[rows])


def test_people_in_plain_colours_are_learnt_and_told_apart():
    model = build("supervised")
    colours = tf.constant([[2.0, 0, 0], [0, 2.0, 0], [0, 0, 2.0]])
    data = batch(model)
    data["visible"] = 0.3 * data["visible"] + tf.gather(colours, data["labels"])[:, None, None]
    for _ in range(12):
        for mean in model.metrics:
            mean.reset_state()
        figures = model.train_step(data)
    assert figures["accuracy/identity"] == 1.0


def test_pictures_say_whom_the_nearest_image_shows():
    model = build("supervised", supervised_modalities="both")
    data = {name: value.numpy() for name, value in batch(model).items()}
    found = {name: value.numpy() for name, value in model.probed(batch(model)).items()}
    scale = (np.full(3, 0.5), np.full(3, 0.25))
    pictures = model.probe_pictures(found, data, (None, None), "held-out images", scale)
    assert set(pictures | model.batch_pictures(data, scale)) == {"nearest_images", "labelled_batch"}
    alone = {"visible": data["visible"][:1], "infrared": data["infrared"][:1], "labels": data["labels"][::4]}
    of_two = {"features": found["features"][::4]}
    assert model.probe_pictures(of_two, alone, (None, None), "images", scale) == {}
