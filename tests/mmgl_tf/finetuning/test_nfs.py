"""The NFS-style method: what its gates are at the start, draw by, keep, and cool down to."""

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning import FINETUNING
from mmgl_tf.finetuning.gated_embedder import SEARCHED, GatedEmbedder
from mmgl_tf.flags.config import options_type
from mmgl_tf.flags.methods import title
from mmgl_tf.optimizers.torch_sgd import TorchSGD
from mmgl_tf.pipelines.batches.shards import Shards
from mmgl_tf.training.checkpoints import collect, restore
from mmgl_tf.training.plan import TrainingPlan
from tests.contracts.cases import PAIRS, case, take_step
from tests.mmgl_tf.serving.trained_embedder import images

LOSSES = ("identity", "triplet", "contrast")


@pytest.fixture(scope="module")
def made():
    of = case("nfs")
    model = of.model()
    return model, of, collect(model)


@pytest.fixture
def tiny(made):
    """(model that has taken no step, its case)."""
    model, of, start = made
    restore(model, start)
    return model, of


def cells_of(model):
    """The eight search cells, stage by stage."""
    both = [getattr(model.embedder, f"cell_{stage}") for stage in SEARCHED]
    return [getattr(cells, modality) for cells in both for modality in cells.modalities]


def biased(model, logit):
    """All gates with another first logit."""
    for cell in cells_of(model):
        cell.channels.bias.assign(tf.fill(cell.channels.bias.shape, logit))
        cell.pixels.bias.assign([logit])


def test_it_is_called_a_reconstruction():
    assert title("nfs") == "NFS-style reconstruction"


def test_with_all_gates_open_it_is_the_two_stream_baseline(tiny):
    model, of = tiny
    plain = case("two_stream").model()
    for own in plain.weights:
        own.assign(next(v for v in model.weights if v.path == own.path))
    shown = {"visible": images(2), "infrared": images(1, seed=1)}
    expected, found = plain.embedder.embed(shown), model.embedder.embed(shown)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
    # In training too, once no noise closes one.
    biased(model, 40.0)
    batch = of.batch(0)
    outputs, of_plain = model.outputs(batch), plain.outputs({k: v for k, v in batch.items() if k != "rows"})
    for name, value in of_plain.items():
        np.testing.assert_array_equal(outputs[name], value, err_msg=name)
    np.testing.assert_array_equal(outputs["kept"], np.ones((2 * PAIRS, 4, 2)))


def test_an_image_draws_the_same_in_whatever_part_of_the_batch(tiny):
    """By where it stands in the global batch: replicas and parts close the gates that the whole does."""
    model, of = tiny
    biased(model, 0.0)
    whole = of.batch(0)
    np.testing.assert_array_equal(whole["rows"], np.arange(2 * PAIRS))
    parts = list(of.material.batches(0, 1, None, Shards(0, 2, 2)))
    halves = [[0, 1, 4, 5], [2, 3, 6, 7]]
    # Without logits of an image's own, what is kept is the noise alone.
    kept = model.outputs(whole)["kept"].numpy()
    for part, rows in zip(parts, halves, strict=True):
        np.testing.assert_array_equal(part["rows"], rows)
        np.testing.assert_array_equal(model.outputs(part)["kept"], kept[rows])
    assert len(np.unique(kept[:, :, 0], axis=0)) == 2 * PAIRS, "each image draws for itself"
    assert np.abs(kept[:, :, 0].mean() - 0.5) < 0.1
    model.optimizer.iterations.assign(1)
    assert (model.outputs(whole)["kept"].numpy() != kept).any(), "each step draws anew"


def test_evaluation_draws_nothing(tiny):
    model, _ = tiny
    biased(model, 0.2)  # open, by a hair
    shown = {"infrared": images(2)}
    first = model.embedder.embed(shown)["neck"]
    model.optimizer.iterations.assign(5)
    np.testing.assert_array_equal(model.embedder.embed(shown)["neck"], first)


def test_the_temperature_falls_over_the_first_half_of_the_run(tiny):
    model, of = tiny
    assert of.material.plan.total_steps == 3
    expected = {0: 1.0, 1: 1.0 - 0.5 / 1.5, 2: 0.5, 3: 0.5}
    for step, temperature in expected.items():
        model.optimizer.iterations.assign(step)
        assert float(model.temperature()) == pytest.approx(temperature)


def test_what_is_kept_is_reported_of_each_cell(tiny):
    model, of = tiny
    outputs = model.outputs(of.batch(0))
    kept = np.random.default_rng(0).random((2 * PAIRS, 4, 2)).astype("float32")
    _, measures = model.losses(outputs | {"kept": tf.constant(kept)}, None)
    for m, modality in enumerate(("visible", "infrared")):
        rows = kept[m * PAIRS : (m + 1) * PAIRS]
        for s, stage in enumerate(SEARCHED):
            for k, what in enumerate(("channels", "places")):
                found = float(measures[f"kept/{stage}_{what}_{modality}"])
                assert found == pytest.approx(rows[:, s, k].mean(), rel=1e-5)
    assert float(measures["kept/channels"]) == pytest.approx(kept[..., 0].mean(), rel=1e-5)
    # At the start a gate is open with probability sigmoid(3).
    assert outputs["kept"].numpy().mean() == pytest.approx(0.9526, abs=0.02)


@pytest.mark.parametrize("contrast", ["centre", "hetero_centre"])
def test_the_total_is_that_of_three_terms(contrast):
    of = case("nfs", nfs_contrast=contrast, nfs_contrast_weight=0.5, triplet_weight=2.0)
    figures = take_step(of.model(), of.batch(0))
    parts = [figures[f"loss/{term}"] for term in LOSSES]
    assert figures["loss/total"] == pytest.approx(np.dot([1.0, 2.0, 0.5], parts), rel=1e-5)


def test_gates_learn_from_the_losses_and_at_the_heads_rate(tiny):
    model, of = tiny
    with tf.GradientTape() as tape:
        terms, _ = model.loss_terms(of.batch(0), model.step_seed())
    biases = [value for cell in cells_of(model) for value in (cell.channels.bias, cell.pixels.bias)]
    for gradient in tape.gradient(terms["triplet"], biases):
        assert np.abs(gradient).max() > 0.0
    optimizer = TorchSGD(learning_rate_multipliers=model.learning_rate_multipliers())
    optimizer.build(model.trained_variables)
    factors = {v.path: factor for v, factor in zip(model.trained_variables, optimizer.factors, strict=True)}
    slow = model.options.trunk_lr_multiplier
    assert factors == {path: slow if path.startswith("encoder/") else 1.0 for path in factors}
    assert any(path.startswith("cell_layer1/visible/channels/") for path in factors)


def test_it_has_the_spec_s_parameters_at_the_paper_s_size():
    plan = TrainingPlan(num_identities=395)
    model = FINETUNING["nfs"](Encoder("resnet50", "two"), options_type("nfs")(), 0, plan)
    model.build_from(96, 48)
    count = sum(v.shape.num_elements() for v in model.trainable_variables)
    gates = 1_400_800 + 7_688
    assert count == 23_517_568 + gates + 2048 + 2048 * 395


def test_a_reduction_that_does_not_divide_is_refused():
    embedder = GatedEmbedder(Encoder("resnet10"), reduction=24)
    with pytest.raises(ValueError, match=r"--nfs_reduction=24 does not divide the 32 channels of layer1"):
        embedder.build_from(96, 48)
