"""Jigsaw: what is asked, what is answered, and that it can be learnt."""

import math
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.figures import chance_values
from mmgl_tf.flags.config import options_type
from mmgl_tf.optimizers.torch_sgd import TorchSGD
from mmgl_tf.pipelines.augmentation.operations.flip import Flip
from mmgl_tf.pipelines.augmentation.operations.random_grey import RandomGrey
from mmgl_tf.pipelines.batches.held_out_batches import HeldOutBatches
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.pretraining.jigsaw import Jigsaw
from mmgl_tf.pretraining.pictures.tiles import put_back
from mmgl_tf.training.plan import TrainingPlan
from tests.pipelines.fake_store import FakeStore, assert_same

ORDERS, IMAGES, HEIGHT, WIDTH = 4, 3, 48, 48
OPTIONS = options_type("jigsaw")(jigsaw_permutations=ORDERS, jigsaw_hidden_size=8)


def make_model(options=OPTIONS, stream="two"):
    model = Jigsaw(Encoder("resnet10", stream=stream, seed=1), options, 3, TrainingPlan())
    model.build_from(HEIGHT, WIDTH)
    return model


@pytest.fixture(scope="module")
def model():
    """Untrained, with moving statistics that are no longer 0 and 1."""
    made = make_model()
    for weight in made.weights:
        if weight.path.endswith("moving_variance"):
            weight.assign(0.5 + np.random.default_rng(1).random(weight.shape))
    return made


def make_batch(seed=0, images=IMAGES, orders=ORDERS):
    dice = np.random.default_rng(seed)
    tiles = {m: dice.standard_normal((images, 9, 14, 14, 3)).astype(np.float32) for m in MODALITIES}
    return tiles | {"tile_order": dice.integers(0, orders, 2 * images).astype(np.int32)}


def test_each_tile_goes_alone_through_its_modalitys_stem_and_meets_the_others_in_the_head(model):
    batch = make_batch()
    found = model(batch, training=False)
    pooled = np.stack(
        [
            [model.encoder({m: tile[None]}, training=False).numpy().mean(axis=(1, 2))[0] for tile in image]
            for m in MODALITIES
            for image in batch[m]
        ]
    )
    np.testing.assert_allclose(found["tiles"], pooled, rtol=1e-4, atol=1e-5)
    head = {weight.path.split("tile_head/")[1]: weight.numpy() for weight in model.tile_head.weights}
    hidden = pooled @ head["tile/linear1/kernel"] + head["tile/linear1/bias"]
    scale = head["tile/norm1/gamma"] / np.sqrt(head["tile/norm1/moving_variance"] + 1e-5)
    hidden = (hidden - head["tile/norm1/moving_mean"]) * scale + head["tile/norm1/beta"]
    side_by_side = np.maximum(hidden, 0.0).reshape(2 * IMAGES, -1)
    expected = side_by_side @ head["classifier/kernel"] + head["classifier/bias"]
    np.testing.assert_allclose(found["scores"], expected, rtol=1e-4, atol=1e-5)


def test_losses_are_of_the_batchs_order(model):
    scores = np.random.default_rng(0).standard_normal((2 * IMAGES, ORDERS)).astype(np.float32)
    order = make_batch()["tile_order"]
    terms, measures = model.losses({"scores": tf.constant(scores), "tile_order": tf.constant(order)}, None)
    odds = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    rows = np.arange(len(order))
    assert float(terms["jigsaw"]) == pytest.approx(-np.log(odds[rows, order]).mean(), rel=1e-5)
    assert float(measures["accuracy/jigsaw"]) == pytest.approx((scores.argmax(axis=1) == order).mean())


def test_a_network_that_knows_nothing_is_at_chance():
    options = options_type("jigsaw")(jigsaw_hidden_size=8)
    chance = chance_values(Jigsaw.figures(options, TrainingPlan()))
    assert chance["loss/jigsaw"] == math.log(64) and chance["accuracy/jigsaw"] == 1 / 64
    terms, _ = make_model(options).loss_terms(make_batch(images=4, orders=64), None)
    assert float(terms["jigsaw"]) == pytest.approx(math.log(64), rel=0.1)


def test_accuracy_on_held_out_images_is_of_each_modality_and_counts_no_padding(model):
    scores = np.eye(ORDERS, dtype=np.float32)[[0, 1, 2, 3, 3, 3]]
    order = np.array([0, 1, 2, 3, 3, 0], np.int32)
    weight = np.array([1, 1, 0, 1, 1, 1], np.float32)
    outputs = {"scores": scores, "tile_order": order, "weight": weight}
    figures = model.validation_figures({name: tf.constant(value) for name, value in outputs.items()})
    values, weights = zip(*(figures[f"accuracy/jigsaw_{m}"] for m in MODALITIES), strict=True)
    np.testing.assert_array_equal(values, [[1, 1, 1], [1, 1, 0]])
    np.testing.assert_array_equal(weights, [[1, 1, 0], [1, 1, 1]])
    assert model.score({"val_accuracy/jigsaw_visible": 0.5, "val_accuracy/jigsaw_infrared": 0.1}) == 0.3


def test_training_images_are_mirrored_and_visible_ones_lose_their_colours():
    recipe = Jigsaw.recipe(replace(OPTIONS, flip_probability=0.3))
    chains = [view.chain for view in recipe.views]
    assert chains == [(Flip(0.3), RandomGrey(OPTIONS.jigsaw_grey)), (Flip(0.3),)]
    order = recipe.layout
    assert (order.rows, order.columns, order.share, order.shared) == (3, 3, 0.875, False)
    assert len(set(order.permutations)) == ORDERS


def test_held_out_images_are_asked_the_same_in_every_pass():
    size = {"height": HEIGHT}
    pair = FakeStore(6, **size), FakeStore(6, channels=1, seed=1, **size)

    def passes():
        batches = HeldOutBatches(
            pair, Jigsaw.held_out(replace(OPTIONS, validation_permutations=8)), 12, seed=3
        )
        return [batches(number) for number in range(batches.num_batches)]

    first = passes()
    assert_same(first, passes())
    orders = np.stack([batch["tile_order"].reshape(2, 12) for batch in first])  # 8 times each image
    assert {int(order) for order in orders.ravel()} == set(range(ORDERS))
    assert (orders[:, 0] != orders[:, 1]).any(), "the images at the same place of a batch are no pair"
    assert len(np.unique(first[0]["visible"][:8].reshape(8, -1), axis=0)) == 8


def test_a_few_images_are_learnt_by_heart():
    model = make_model()
    model.compile(optimizer=TorchSGD(0.05, weight_decay=0.0))
    model.optimizer.build(model.trained_variables)
    data = tf.data.Dataset.from_tensors(make_batch()).repeat()
    figures = model.fit(data, steps_per_epoch=10, epochs=2, verbose=0, shuffle=False).history
    assert figures["loss/jigsaw"][0] > 10 * figures["loss/jigsaw"][-1]
    assert figures["accuracy/jigsaw"][-1] == 1.0


def test_tiles_are_put_where_the_recognised_order_has_them():
    dice = np.random.default_rng(0)
    order, other = (np.stack([dice.permutation(9) for _ in range(5)]) for _ in range(2))
    exact = put_back(order, order)
    assert exact.right.all()
    for image in range(5):
        for place in range(9):
            assert order[image][exact.slots[image, place]] == place
    wrong = put_back(other, order)
    for image in range(5):
        for place in range(9):
            slot = wrong.slots[image, place]
            assert other[image, slot] == place and wrong.right[image, place] == (order[image, slot] == place)


def test_pictures_show_tiles_in_both_orders(model):
    batch = make_batch()
    found = {name: value.numpy() for name, value in model.probed(batch).items()}
    assert found["features"].shape == (2 * IMAGES, model.encoder.num_features)
    pictures = model.batch_pictures(batch, None)
    pictures |= model.probe_pictures(found, batch, (None, None), "held-out images", None)
    assert pictures.keys() == {"tiles", "recovered_tiles"}
    for picture in pictures.values():
        assert picture.dtype == np.uint8 and picture.shape[1] <= 1600


def test_a_batch_without_an_order_is_refused(model):
    with pytest.raises(ValueError, match=r"jigsaw got a batch of \['visible'\]; expected one of tile_order"):
        model.outputs({"visible": make_batch()["visible"]})
