"""Which of the heads' outputs each loss of MMGL reads, and with which of the settings."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.flags.config import options_type
from mmgl_tf.layers.gumbel_sinkhorn import sinkhorn
from mmgl_tf.losses.cycle_contrast import cycle_contrast_loss
from mmgl_tf.losses.part_classification import part_loss
from mmgl_tf.losses.permutation import permutation_loss
from mmgl_tf.pretraining.mmgl import Mmgl
from mmgl_tf.training.plan import TrainingPlan

Options = options_type("mmgl")
HEIGHT, WIDTH, PAIRS = 96, 32, 3
# Without noise, and with scores that are not all nearly 0.
QUIET = Options(part_embedding_size=8, gumbel_scale=0.0, perm_init_stddev=0.5, sinkhorn_iters=3)


def model_and_batch(**changes):
    model = Mmgl(
        Encoder("resnet10", seed=1), dataclasses.replace(QUIET, **changes), seed=3, plan=TrainingPlan()
    )
    model.build_from(HEIGHT, WIDTH)
    dice = np.random.default_rng(0)
    model.part_classifier.kernel.assign(dice.standard_normal(model.part_classifier.kernel.shape))
    images = {
        name: tf.constant(dice.standard_normal((PAIRS, HEIGHT, WIDTH, 3)), tf.float32)
        for name in ("visible", "infrared")
    }
    order = np.stack([dice.permutation(6) for _ in range(2 * PAIRS)]).astype(np.int32)
    return model, images, tf.constant(order)


@pytest.mark.parametrize(("part_ce_input", "read"), [("pre", "stripes"), ("post", "parts")])
def test_the_classifier_reads_the_embedding_before_or_after_it_is_normalised(part_ce_input, read):
    model, images, _ = model_and_batch(part_ce_input=part_ce_input)
    heads = model(images, training=True)
    lengths = np.linalg.norm(heads["stripes"], axis=-1)
    assert np.abs(lengths - 1.0).min() > 0.1, "the two must differ for this to say anything"
    np.testing.assert_allclose(heads["parts"], heads["stripes"] / lengths[..., None], atol=1e-6)
    np.testing.assert_allclose(
        heads["part_logits"], heads[read] @ model.part_classifier.kernel, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("changes", [{}, {"sinkhorn_tau": 0.5, "nce_tau": 0.3}, {"snn_tau": 0.2}])
def test_every_term_is_its_equation_on_its_head(changes):
    """The wiring of Eqs. 4 to 7: no term may read another head, temperature or half of the batch."""
    model, images, order = model_and_batch(**changes)
    heads = model(images, training=True)
    options = model.options
    terms, _ = model.loss_terms({**images, "permutation": order}, tf.constant([3, 0]))
    unit = heads["stripes"] / tf.norm(heads["stripes"], axis=-1, keepdims=True)
    soft = sinkhorn(heads["permutation_logits"] / options.sinkhorn_tau, 3)
    expected = {
        "permutation": permutation_loss(soft[None], order, "matrix", "sum"),
        "part": part_loss(heads["part_logits"], order),
        "cycle_contrast": cycle_contrast_loss(
            unit[:PAIRS], unit[PAIRS:], options.nce_tau, options.snn_tau or options.nce_tau
        ),
    }
    for name, value in expected.items():
        assert float(terms[name]) == pytest.approx(float(value), rel=1e-4), name
    assert model.term_weights == {"permutation": 1.0, "part": 1.0, "cycle_contrast": 0.2}


def test_validation_uses_and_keeps_the_moving_statistics():
    """With batch statistics an image's accuracy would depend on its neighbours, and looking would train."""
    model, images, order = model_and_batch()
    before = {variable.path: variable.numpy() for variable in model.weights}
    model.test_step({**images, "permutation": order, "weight": tf.ones(2 * PAIRS)})
    moved = [v.path for v in model.weights if v.path in before and not np.array_equal(v, before[v.path])]
    assert not [path for path in moved if "moving" in path]


def test_defaults_where_the_paper_is_silent_are_those_of_the_choices():
    """docs/choices.md gives the evidence for each; what the paper says is in the tests of the flags."""
    silent = {
        "perm_loss": "matrix",
        "perm_reduction": "sum",
        "perm_sample_reduce": "loss",
        "perm_init_stddev": 0.001,
        "sinkhorn_tau": 1.0,
        "gumbel_scale": 1.0,
        "pcb_shared": True,
        "pcb_bn": True,
        "pcb_relu": False,
        "part_ce_input": "pre",
        "part_weight": 1.0,
        "snn_tau": 0.0,
        "snn_renorm": True,
        "pcc_negatives": "cross",
        "pcc_backward": "retrieved",
        "pcc_exclude_self": False,
        "pcc_universe": "batch",
        "pcc_own_set": "image",
        "pcc_centre": "none",
        "pcc_symmetric": True,
        "pcc_stopgrad": "none",
    }
    assert {name: getattr(Options(), name) for name in silent} == silent
