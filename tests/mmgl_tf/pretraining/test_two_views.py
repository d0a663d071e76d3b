"""How the five two-view methods put their parts together, beside NumPy that starts from arrays."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.figures import chance_values
from mmgl_tf.losses.cross_correlation import standardised
from mmgl_tf.pretraining.two_views import TwoViewModel
from mmgl_tf.training.checkpoints import collect
from tests.contracts.cases import PAIRS, case
from tests.mmgl_tf.pretraining.pixel_encoder import (
    IMAGES,
    METHODS,
    Weights,
    batch,
    build,
    rows,
    unit,
    with_drawn_weights,
)

D = 8


@functools.cache
def shared_model(method):
    return with_drawn_weights(build(method))


def model_of(method, **changes):
    """A model that all tests share, under other settings; none of these makes other weights."""
    model = shared_model(method)
    usual = {"view_joint": False, "view_scope": "mixed"}
    usual |= {"swav_small_crops": 1} if method == "swav" else {}
    model.options = dataclasses.replace(model.options, **usual | changes)
    return model


def cosine(first, second):
    return (unit(first) * unit(second)).sum(axis=1).mean()


def nt_xent(one, other, temperature=0.2):
    """Of each view all others are candidates, one of which is right."""
    views, count = unit(np.concatenate([one, other])), len(one)
    scores = np.exp(views @ views.T / temperature)
    own, partner = np.arange(2 * count), (np.arange(2 * count) + count) % (2 * count)
    return -np.log(scores[own, partner] / (scores.sum(axis=1) - scores[own, own])).mean()


def redundancy(one, other):
    one, other = ((x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5) for x in (one, other))
    correlation = one.T @ other / len(one)
    diagonal = np.diag(correlation)
    off = (correlation**2).sum() - (diagonal**2).sum()
    return ((1 - diagonal) ** 2).sum() + 0.0051 * off


# {method: (names of its outputs, the reported loss, what is descended)} as functions of outputs.
LOSSES = {
    "simclr": (
        ("projection",),
        lambda o: nt_xent(o["projection_1"], o["projection_2"]),
        lambda o: nt_xent(o["projection_1"], o["projection_2"]),
    ),
    "byol": (
        ("projection", "prediction", "target"),
        lambda o: 2 - cosine(o["prediction_1"], o["target_2"]) - cosine(o["prediction_2"], o["target_1"]),
        # Squared distances of unit vectors, summed over both directions.
        lambda o: sum(
            ((unit(o[f"prediction_{p}"]) - unit(o[f"target_{t}"])) ** 2).sum(axis=1).mean()
            for p, t in ((1, 2), (2, 1))
        ),
    ),
    "simsiam": (
        ("projection", "prediction"),
        *[
            lambda o: (
                -cosine(o["prediction_1"], o["projection_2"]) / 2
                - cosine(o["prediction_2"], o["projection_1"]) / 2
            )
        ]
        * 2,
    ),
    "barlow_twins": (
        ("projection",),
        lambda o: redundancy(o["projection_1"], o["projection_2"]),
        lambda o: 0.025 * redundancy(o["projection_1"], o["projection_2"]),
    ),
}


@pytest.mark.parametrize("scope", ["mixed", "per_modality"])
@pytest.mark.parametrize("method", LOSSES)
def test_loss_of_outputs(method, scope):
    model = model_of(method, view_scope=scope)
    names, reported, descended = LOSSES[method]
    outputs = rows(D, *(f"{name}_{number}" for name in names for number in (1, 2)))
    _, figures = model.weighted_losses({n: tf.constant(v) for n, v in outputs.items()}, None, np.int64(0))
    halves = [slice(None)] if scope == "mixed" else [slice(IMAGES), slice(IMAGES, None)]
    groups = [{name: value[half] for name, value in outputs.items()} for half in halves]
    (term,) = model.term_weights
    assert float(figures[f"loss/{term}"]) == pytest.approx(np.mean([*map(reported, groups)]), rel=1e-5)
    assert float(figures["loss/total"]) == pytest.approx(np.mean([*map(descended, groups)]), rel=1e-5)


def swav_head(w, x):
    projection = unit(w.linear(w.hidden(x, "projector", 1), "projector/linear2"))
    return {"projection": projection, "scores": projection @ w("prototypes/kernel").T}


def simclr_head(w, x):
    hidden = np.maximum(w.linear(x, "projector/linear1"), 0)
    return {"projection": w.linear(hidden, "projector/linear2")}


def byol_head(w, x):
    projection = w.linear(w.hidden(x, "projector", 1), "projector/linear2")
    prediction = w.linear(w.hidden(projection, "predictor", 1), "predictor/linear2")
    return {"projection": projection, "prediction": prediction}


def simsiam_head(w, x):
    hidden = w.hidden(w.hidden(x, "projector", 1, bias=False), "projector", 2, bias=False)
    last = w.linear(hidden, "projector/linear3", bias=False)
    projection = w.norm(last, "projector/norm3", affine=False)
    prediction = w.linear(w.hidden(projection, "predictor", 1, bias=False), "predictor/linear2")
    return {"projection": projection, "prediction": prediction}


def barlow_head(w, x):
    hidden = w.hidden(w.hidden(x, "projector", 1, bias=False), "projector", 2, bias=False)
    return {"projection": w.linear(hidden, "projector/linear3", bias=False)}


HEADS = dict(zip(METHODS, (simclr_head, swav_head, byol_head, simsiam_head, barlow_head), strict=True))


@pytest.mark.parametrize("method", METHODS)
def test_heads_are_those_of_the_authors_and_have_no_other_weights(method):
    model = model_of(method)
    features = rows(5, "features")["features"]
    weights = Weights(model)
    expected, found = HEADS[method](weights, features), model.head(tf.constant(features), training=True)
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-4, err_msg=name)
    trained = {v.path for v in model.trained_variables if not v.path.startswith("encoder/")}
    assert weights.read == trained


@pytest.mark.parametrize("method", METHODS)
def test_held_out_images_do_not_meet_and_the_judged_ones_do(method):
    model, images = model_of(method), batch(small=1)
    model.outputs(images)  # statistics begin to move
    before = collect(model)
    together = model.validation_outputs(images | {"weight": tf.ones(2 * IMAGES)})
    alone = model.validation_outputs({n: v[:1] for n, v in images.items()} | {"weight": tf.ones(2)})
    for name in ("projection_1", "projection_2"):
        np.testing.assert_allclose(together[name][::IMAGES], alone[name], rtol=1e-4, atol=1e-5)
    found, after = model.probed(images), collect(model)
    assert all(np.array_equal(after[name], value) for name, value in before.items())
    np.testing.assert_allclose(found["projection"], together["projection_1"], rtol=1e-4, atol=1e-5)
    by_batch = model.head(model.views(images, training=True)[0], training=True)["projection"]
    seen = standardised(by_batch) if method == "barlow_twins" else by_batch  # by the loss
    np.testing.assert_allclose(found["judged"], seen, rtol=1e-4, atol=1e-5)
    assert np.abs(found["judged"] - found["projection"]).max() > 1e-2


@pytest.mark.parametrize(("most", "compared"), [(0, PAIRS), (PAIRS - 1, PAIRS - 1)])
def test_chance_of_finding_the_other_view_is_of_the_images_compared(most, compared):
    """Fewer held-out images than a batch has make smaller batches."""
    of = case("simclr", validation_images=most)
    assert of.held_out()["visible"].shape[0] == compared
    chance = chance_values(TwoViewModel.two_view_figures(of.material.plan))
    assert chance["accuracy/partner"] == 1 / PAIRS
    assert chance["validation/accuracy/partner_visible"] == 1 / compared


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("method", ["swav", "byol"])
def test_what_goes_through_trunk_and_heads_in_one_pass(method, joint, monkeypatch):
    """With --view_joint: views of one size through the trunk, views of all sizes through the heads."""
    small = 2 if method == "swav" else 0
    more = {"swav_small_crops": small} if small else {}
    model = model_of(method, view_joint=joint, **more)
    images, through_head = batch(small=small), []
    head = model.head

    def noting(features, training):
        through_head.append(features.shape[0])
        return head(features, training)

    monkeypatch.setattr(model, "head", noting)
    encoders = [model.encoder, *([model.target_encoder] if method == "byol" else [])]
    for encoder in encoders:
        encoder.rows.clear()
    weights, found = Weights(model), model.outputs(images)
    each, views = 2 * IMAGES, 2 + small
    sizes = [[1, 2], [3, 4]][: views // 2] if joint else [[number] for number in range(1, views + 1)]
    for encoder in encoders:
        assert list(encoder.rows) == [each * len(alike) for alike in sizes]
    assert through_head == ([each * views] if joint else [each] * views)

    features = {}
    for alike in sizes:
        shown = [images[m if k == 1 else f"{m}_{k}"] for k in alike for m in ("visible", "infrared")]
        pixels = weights.norm(np.concatenate(shown) @ weights("encoder/matrix/kernel"), "encoder/norm")
        features |= zip(alike, np.split(pixels.mean(axis=(1, 2)), len(alike)), strict=True)
    passes = [[*features]] if joint else [[number] for number in features]
    expected = {}
    for numbers in passes:
        heads = HEADS[method](weights, np.concatenate([features[number] for number in numbers]))
        for name, value in heads.items():
            parts = np.split(value, len(numbers))
            expected |= {f"{name}_{k}": part for k, part in zip(numbers, parts, strict=True)}
    for name in [name for name in found if not name.startswith("target")]:
        np.testing.assert_allclose(found[name], expected[name], rtol=2e-3, atol=2e-3, err_msg=name)


def test_training_measures_each_modality_by_itself():
    first = np.eye(6, D, dtype=np.float32)
    second = first.copy()
    second[[3, 4]] = second[[4, 3]]  # of the infrared images, the last three, one alone is found
    for order in (range(6), [3, 4, 5, 0, 1, 2]):
        outputs = {f"projection_{k}": tf.constant(v[list(order)]) for k, v in ((1, first), (2, second))}
        measured = TwoViewModel.partner_measure(outputs)["accuracy/partner"]
        assert float(measured) == pytest.approx((1 + 1 / 3) / 2)
