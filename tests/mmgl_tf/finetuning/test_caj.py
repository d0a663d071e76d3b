"""CAJ: three images a pair, whose stem each goes through, and what the losses make of them."""

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.finetuning import FINETUNING
from mmgl_tf.flags.config import options_type
from mmgl_tf.layers.normalization.frozen_statistics import frozen_statistics
from mmgl_tf.losses.identification.identity import identity_loss
from mmgl_tf.pipelines.augmentation.operations.channel_exchange import ChannelExchange
from mmgl_tf.pipelines.augmentation.operations.channel_or_grey import ChannelOrGrey
from mmgl_tf.pipelines.augmentation.operations.erase import Erase
from mmgl_tf.pipelines.augmentation.operations.pad_crop_flip import PadCropFlip
from tests.contracts.cases import PAIRS, case
from tests.mmgl_tf.losses.golden_batches import drawn_batch


@pytest.fixture(scope="module")
def tiny():
    """(model that has taken no step, a batch)."""
    of = case("caj", caj_clamp=88.0)  # as released
    return of.model(), of.batch(0)


def numbered(count, *sizes):
    """Outputs of `count` images a modality, of made-up features."""
    draw = np.random.default_rng(0).normal
    pool, logits = sizes
    return {
        "pool": draw(size=(2 * count, pool)),
        "pool_2": draw(size=(count, pool)),
        "logits": draw(size=(2 * count, logits)),
        "logits_2": draw(size=(count, logits)),
        "labels": np.zeros(2 * count, np.int32),
    }


def losses(model, outputs):
    given = {
        name: tf.constant(value, tf.int32 if name == "labels" else tf.float32)
        for name, value in outputs.items()
    }
    return model.losses(given, tf.constant([0, 0]))


def test_the_batch_is_that_of_the_released_code():
    recipe = FINETUNING["caj"].recipe(options_type("caj")())
    chain = (PadCropFlip(10, 0.5), Erase(0.5, 0.02, 0.4, 0.3, fill=(0.4914, 0.4822, 0.4465)))
    expected = {
        "visible": chain,
        "visible_2": (*chain, ChannelExchange()),
        "infrared": (*chain, ChannelOrGrey(0.5)),
    }
    assert {view.name: view.chain for view in recipe.views} == expected
    assert len({(view.modality, view.stream) for view in recipe.views}) == 3, "each draws for itself"


def test_what_is_erased_has_one_value_after_the_exchange():
    batch = case("caj", caj_erase_probability=1.0).batch(0)
    fill = FINETUNING["caj"].recipe(options_type("caj")()).views[0].chain[1].fill
    exchanged = batch["visible_2"].numpy()
    np.testing.assert_array_equal(exchanged, np.repeat(exchanged[..., :1], 3, axis=-1))
    whole = batch["visible"].numpy()
    for row in range(PAIRS):
        assert (whole[row] == np.float32(fill)).all(axis=-1).sum() > 0.01 * whole[row, ..., 0].size
        seen = [np.count_nonzero(exchanged[row, ..., 0] == np.float32(value)) for value in fill]
        assert max(seen) > 0.01 * exchanged[row, ..., 0].size
    assert np.ptp(whole, axis=-1).max() > 0.1, "the first view keeps its colours"


def test_both_visible_views_go_through_the_visible_stem(tiny):
    model, batch = tiny
    before = model.encoder.stem_visible.bn1.moving_mean.numpy()
    outputs = model.outputs(batch)
    both = tf.concat([batch["visible"], batch["visible_2"]], axis=0)
    assert {name: len(value) for name, value in outputs.items()} == {
        "pool": 2 * PAIRS,
        "pool_2": PAIRS,
        "logits": 2 * PAIRS,
        "logits_2": PAIRS,
        "labels": 2 * PAIRS,
    }
    with frozen_statistics():
        expected = model({"visible": both, "infrared": batch["infrared"]}, training=True)
    for name in ("pool", "logits"):
        first, second, infrared = np.split(expected[name].numpy(), 3)
        np.testing.assert_allclose(outputs[name], np.concatenate([first, infrared]), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(outputs[f"{name}_2"], second, rtol=1e-5, atol=1e-6)
    # The stem's statistics are of both.
    seen = model.encoder.stem_visible.conv1(both).numpy().mean(axis=(0, 1, 2))
    moved = model.encoder.stem_visible.bn1.moving_mean.numpy()
    np.testing.assert_allclose(moved, 0.9 * before + 0.1 * seen, rtol=1e-4, atol=1e-6)


def test_golden_numbers_of_three_views(tiny):
    model, _ = tiny
    features = (np.random.RandomState(5).randn(24, 16)).astype(np.float32)
    first, second, infrared = np.split(features, 3)
    outputs = numbered(8, 16, 4) | {"pool": np.concatenate([first, infrared]), "pool_2": second}
    outputs["labels"] = np.tile(np.repeat(np.arange(4), 2), 2)
    terms, _ = losses(model, outputs)
    assert float(terms["triplet"]) == pytest.approx(1.7114615, rel=5e-6)

    draw = np.random.RandomState(3)
    first, infrared = (draw.randn(5, 7) * 2).astype(np.float32), (draw.randn(5, 7) * 2).astype(np.float32)
    outputs = numbered(5, 16, 7) | {"logits": np.concatenate([first, infrared])}
    terms, _ = losses(model, outputs)
    assert float(terms["divergence"]) == pytest.approx(4.6829300, rel=1e-5)


def test_cross_entropy_is_of_all_three_images_and_each_view_of_its_person(tiny):
    model, _ = tiny
    outputs = numbered(4, 16, 3) | {"labels": np.array([0, 1, 2, 0, 0, 1, 2, 0])}
    terms, _ = losses(model, outputs)
    visible, infrared = np.split(outputs["logits"], 2)
    logits = np.concatenate([visible, outputs["logits_2"], infrared])
    expected = identity_loss(tf.constant(logits, tf.float32), np.tile([0, 1, 2, 0], 3))
    assert float(terms["identity"]) == pytest.approx(float(expected), rel=1e-6)


def test_the_share_of_clamped_anchors_is_reported(tiny):
    model, _ = tiny
    near, labels = drawn_batch(1.0, 0)
    for scale, expected in ((1.0, 0.0), (40.0, 1.0)):
        pool = scale * np.asarray(near)
        outputs = numbered(8, 16, 4) | {"pool": pool, "pool_2": pool[:8], "labels": np.asarray(labels)}
        terms, measures = losses(model, outputs)
        assert float(measures["triplet/clamped"]) == expected
        assert (float(terms["triplet"]) == pytest.approx(88.0, rel=1e-6)) == bool(expected)


def test_the_total_counts_the_divergence_by_its_weight():
    of = case("caj", caj_divergence_weight=0.5)
    model = of.model()
    outputs = {name: tf.constant(value) for name, value in numbered(4, 16, 4).items()}
    _, figures = model.weighted_losses(outputs, tf.constant([0, 0]), tf.constant(0, tf.int64))
    parts = {term: float(figures[f"loss/{term}"]) for term in ("identity", "triplet", "divergence")}
    expected = parts["identity"] + parts["triplet"] + 0.5 * parts["divergence"]
    assert float(figures["loss/total"]) == pytest.approx(expected, rel=1e-6)


def test_the_network_is_agws(tiny):
    own, other = tiny[0], case("agw").model()
    assert [v.path for v in own.trained_variables] == [v.path for v in other.trained_variables]
    assert own.learning_rate_multipliers() == other.learning_rate_multipliers()
    assert own.without_gradient() == other.without_gradient()
