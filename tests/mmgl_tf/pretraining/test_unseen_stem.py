"""The stem that no image goes through: what it becomes, and what is saved."""

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.pretraining.monitor.probe import Probe
from mmgl_tf.training.checkpoints import collect
from tests.mmgl_tf.pretraining.one_modality import batch, build, plain, values

CASES = [
    ("colorization", {}, "infrared"),
    ("supervised", {}, "infrared"),
    ("supervised", {"supervised_modalities": "infrared"}, "visible"),
]


def moving(stem):
    return [w.numpy() for w in stem.weights if "moving" in w.path]


@pytest.mark.parametrize(("method", "changes", "unseen"), CASES)
def test_a_step_leaves_it_alone_and_the_epochs_end_makes_it_the_trained_one(method, changes, unseen):
    model = build(method, **changes)
    seen = {"visible": "infrared", "infrared": "visible"}[unseen]
    before = values(model.encoder.weights)
    model.train_step(batch(model))
    after = values(model.encoder.weights)
    still = {path for path, value in after.items() if np.array_equal(value, before[path])}
    assert still == {path for path in after if f"stem_{unseen}" in path}

    model.after_epoch()
    stems = model.encoder.stems
    for own, trained in zip(stems[unseen].weights, stems[seen].weights, strict=True):
        np.testing.assert_array_equal(own, trained)
    rest = {path: value for path, value in values(model.encoder.weights).items() if unseen not in path}
    assert all(np.array_equal(value, after[path]) for path, value in rest.items())


def test_keep_leaves_it_at_its_start():
    model = build("supervised", unseen_stem="keep")
    before = values(model.encoder.stem_infrared.weights)
    model.train_step(batch(model))
    model.after_epoch()
    assert all(np.array_equal(v, before[p]) for p, v in values(model.encoder.stem_infrared.weights).items())
    model.plain_batches = lambda most: [plain()]
    assert model.saved_layers()["encoder"] is model.encoder
    assert "keeps its random start" in str(model.notes())


@pytest.mark.parametrize(
    ("method", "changes"),
    [("colorization", {"colorization_infrared": "both"}), ("supervised", {"supervised_modalities": "both"})],
)
def test_both_stems_are_trained_where_something_goes_through_both(method, changes):
    model = build(method, **changes)
    assert len(model.trained_variables) == len(model.trainable_variables)
    model.train_step(batch(model))
    stems = model.encoder.stems
    kernels = [np.array(stems[m].trainable_variables[0]) for m in stems]
    model.after_epoch()
    for stem, kernel in zip(stems.values(), kernels, strict=True):
        np.testing.assert_array_equal(stem.trainable_variables[0], kernel)
    assert (np.array_equal(*kernels)) == (method == "colorization")  # the very same images


def test_one_stream_has_no_stem_to_spare():
    model = build("supervised", stream="one")
    assert len(model.trained_variables) == len(model.trainable_variables)
    model.train_step(batch(model))
    before = values(model.encoder.weights)
    model.after_epoch()
    assert all(np.array_equal(v, before[p]) for p, v in values(model.encoder.weights).items())
    assert "that stem" not in str(model.notes())


def test_the_saved_encoder_has_statistics_of_both_modalities_and_the_model_keeps_its_own():
    model = build("supervised", unseen_stem_batches=3)
    asked = []

    def plain_batches(most):
        asked.append(most)
        return [plain(1), plain(2)]

    model.plain_batches = plain_batches
    model.train_step(batch(model))
    model.after_epoch()
    before = collect(model)
    saved = model.saved_layers()["encoder"]
    assert model.saved_layers()["encoder"] is saved  # "last" and "best": estimated once
    assert asked == [3]
    after = collect(model)
    assert before.keys() == after.keys()  # the copy is no part of the model
    assert all(np.array_equal(value, after[name]) for name, value in before.items())
    for own, source in zip(saved.weights, model.encoder.weights, strict=True):
        assert np.array_equal(own, source) != ("moving" in own.path), own.path
    first, second = moving(saved.stem_visible), moving(saved.stem_infrared)
    assert not np.allclose(first[0], second[0])  # the same stem on other images

    kernel = np.array(saved.stem_visible.weights[0])
    model.train_step(batch(model, 1))
    again = model.saved_layers()["encoder"]
    assert asked == [3, 3]
    assert not np.array_equal(again.stem_visible.weights[0], kernel)


def test_nothing_is_estimated_where_both_are_seen_or_nobody_has_images():
    both = build("supervised", supervised_modalities="both")
    both.plain_batches = lambda most: [plain()]
    assert both.saved_layers()["encoder"] is both.encoder and both.notes() == []
    assert build("supervised").saved_layers()["encoder"].name == "encoder"
    lightness = build("colorization", colorization_infrared="both")  # of visible images, through both stems
    lightness.plain_batches = lambda most: [plain()]
    assert lightness.saved_layers()["encoder"] is not lightness.encoder


def test_a_model_of_a_strategy_is_saved_by_a_copy_outside_of_it():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = build("supervised")
    model.plain_batches = lambda most: [plain()]
    saved = model.saved_layers()["encoder"]
    for own, source in zip(saved.trainable_variables, model.encoder.trainable_variables, strict=True):
        np.testing.assert_array_equal(own, source)
    assert not isinstance(saved.weights[0].value, tf.distribute.DistributedValues)


def test_a_model_of_a_strategy_is_looked_at_between_its_steps():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = build("supervised")
    images = {name: value.numpy() for name, value in batch(model).items()}
    assert set(Probe(model, [images])()) == {
        "embedding/std",
        "embedding/effective_rank",
        "embedding/mean_cosine",
    }
