"""MPANet: order of events within a step, what is trained, parameters and settings as published."""

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning.mpanet import MpaNet
from mmgl_tf.flags.config import options_type
from mmgl_tf.training.checkpoints import collect, restore
from mmgl_tf.training.plan import TrainingPlan
from tests.contracts.cases import case, take_step


@pytest.fixture(scope="module")
def tiny():
    """(case, model with copies that are not their sources, its state)."""
    of = case("mpanet", learning_rate=1e-3)
    model = of.model()
    dice = np.random.default_rng(0)
    for name in ("slow_visible_classifier", "slow_infrared_classifier"):
        kernel = getattr(model, name).kernel
        kernel.assign(dice.normal(0.0, 0.05, kernel.shape))
    return of, model, collect(model)


@pytest.fixture
def model(tiny):
    """The model at its start."""
    restore(tiny[1], tiny[2])
    return tiny[1]


def kernels(model, name):
    return [getattr(model, name.format(m)).kernel.numpy() for m in ("visible", "infrared")]


def test_a_copy_starts_as_its_source_and_the_modalities_differ():
    fresh = case("mpanet").model()
    sources, copies = kernels(fresh, "{}_classifier"), kernels(fresh, "slow_{}_classifier")
    for source, copy in zip(sources, copies, strict=True):
        np.testing.assert_array_equal(source, copy)
        limit = 1 / np.sqrt(len(source))
        assert 0.95 * limit < np.abs(source).max() < limit
    assert not np.array_equal(*sources) and not np.array_equal(sources[0], fresh.classifier.kernel)


@pytest.mark.parametrize("parts", [1, 2])
def test_copies_follow_before_they_answer_and_before_the_classifiers_move(tiny, model, parts):
    of, model.accumulate = tiny[0], parts
    sources, copies = kernels(model, "{}_classifier"), kernels(model, "slow_{}_classifier")
    expected = [0.8 * copy + 0.2 * source for copy, source in zip(copies, sources, strict=True)]
    found = []
    losses = model.losses
    model.losses = lambda outputs, seed: found.append(outputs) or losses(outputs, seed)
    take_step(model, of.batch())
    del model.losses
    model.accumulate = 1
    for own, wanted in zip(kernels(model, "slow_{}_classifier"), expected, strict=True):
        np.testing.assert_allclose(own, wanted, rtol=1e-5, atol=1e-7)
    for own, before in zip(kernels(model, "{}_classifier"), sources, strict=True):
        assert np.abs(own - before).max() > 1e-4, "the optimiser moved it"
    (outputs,) = found
    for modality, wanted in zip(("visible", "infrared"), expected, strict=True):
        np.testing.assert_allclose(outputs[f"slow_{modality}"], wanted, rtol=1e-5, atol=1e-7)


def test_logits_are_those_of_the_right_classifiers(tiny, model):
    outputs = model.outputs(tiny[0].batch())
    features = outputs["neck"].numpy().astype("float64")
    visible, infrared = features[:4], features[4:]
    sources, copies = kernels(model, "{}_classifier"), kernels(model, "slow_{}_classifier")
    slow = [0.8 * copy + 0.2 * source for copy, source in zip(copies, sources, strict=True)]
    found = model.joined(outputs)
    close = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(found["logits"], features @ model.classifier.kernel.numpy(), **close)
    np.testing.assert_allclose(
        found["specific"], np.concatenate([visible @ sources[0], infrared @ sources[1]]), **close
    )
    np.testing.assert_allclose(
        found["teacher"], np.concatenate([visible @ slow[1], infrared @ slow[0]]), **close
    )
    np.testing.assert_allclose(found["pool"], outputs["pool"])


@pytest.mark.parametrize(
    ("epoch", "rate"), [(1, 0.2), (99, 0.2), (100, 0.19802), (120, 0.165289), (140, 0.141844)]
)
def test_the_rate_is_of_the_epoch_and_comes_back_with_the_step(model, epoch, rate):
    model.plan = TrainingPlan(steps_per_epoch=7, epochs=140, batch_size=4, num_identities=4)
    for step in (7 * (epoch - 1), 7 * epoch - 1):
        model.optimizer.iterations.assign(step)
        assert float(model.teacher_rate()) == pytest.approx(rate, abs=1e-6)
    saved = collect(model)
    model.optimizer.iterations.assign(0)
    restore(model, saved)
    assert float(model.teacher_rate()) == pytest.approx(rate, abs=1e-6)


def test_gradients_reach_what_the_spec_says(tiny, model):
    with tf.GradientTape(persistent=True) as tape:
        outputs = model.joined(model.outputs(tiny[0].batch()))
        terms, _ = model.losses(outputs, None)
    watched = {
        "shared": model.classifier.kernel,
        "visible": model.visible_classifier.kernel,
        "slow": model.slow_visible_classifier.kernel,
        "neck": model.embedder.neck.gamma,
        "masks": model.embedder.patterns.masks.kernel,
        "alleviation": model.embedder.alleviation_layer4.squeeze,
        "trunk": model.encoder.stem.conv1.kernel,
    }
    reached = {
        term: {name for name, v in watched.items() if tape.gradient(value, v.value) is not None}
        for term, value in terms.items()
    }
    trunk = {"alleviation", "trunk"}
    behind_neck = trunk | {"neck", "masks"}
    assert reached == {
        "separation": trunk | {"masks"},
        "centre": trunk | {"masks"},
        "identity": behind_neck | {"shared"},
        "specific": behind_neck | {"visible"},
        "mutual": behind_neck | {"visible"},
    }
    trained = {variable.path for variable in model.trained_variables}
    left_out = {variable.path for variable in model.trainable_variables} - trained
    assert left_out == {"slow_visible_classifier/kernel", "slow_infrared_classifier/kernel"}


def test_the_mutual_term_s_teacher_is_a_constant_even_of_the_features(tiny, model):
    outputs = model.outputs(tiny[0].batch())
    neck = tf.constant(outputs["neck"])
    with tf.GradientTape() as tape:
        tape.watch(neck)
        found = model.joined(outputs | {"neck": neck})
        terms, _ = model.losses(found, None)
    specific, teacher = (found[name].numpy().astype("float64") for name in ("specific", "teacher"))
    p, q = (np.exp(x) / np.exp(x).sum(axis=1, keepdims=True) for x in (specific, teacher))
    of_row = np.log(p) - np.log(q)
    by_logits = p * (of_row - (p * of_row).sum(axis=1, keepdims=True)) / len(p)
    sources = kernels(model, "{}_classifier")
    expected = np.concatenate([by_logits[:4] @ sources[0].T, by_logits[4:] @ sources[1].T])
    np.testing.assert_allclose(tape.gradient(terms["mutual"], neck), expected, rtol=1e-3, atol=1e-6)


def test_the_loss_is_the_released_sum(tiny, model):
    assert model.term_weights == {
        "separation": 0.5,
        "centre": 1.0,
        "identity": 1.0,
        "specific": 1.0,
        "mutual": 2.5,
    }
    labels = tiny[0].batch()["labels"].numpy()
    outputs = model.joined(model.outputs(tiny[0].batch()))
    terms, measures = model.losses(outputs, None)

    def cross_entropy(logits, labels):
        logits = np.asarray(logits, "float64")
        likely = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return -likely[np.arange(len(labels)), labels].mean()

    halves = [(outputs["specific"][rows], labels[rows]) for rows in (slice(4), slice(4, None))]
    assert float(terms["specific"]) == pytest.approx(sum(cross_entropy(*half) for half in halves), rel=1e-5)
    assert float(terms["identity"]) == pytest.approx(cross_entropy(outputs["logits"], labels), rel=1e-5)
    assert float(terms["centre"]) == pytest.approx(
        float(measures["distance/pull"] + measures["distance/push"]), rel=1e-5
    )


@pytest.fixture(scope="module")
def whole():
    """The network at its published size, for SYSU-MM01."""
    encoder = Encoder("resnet50", "one")
    model = MpaNet(encoder, options_type("mpanet")(), 0, TrainingPlan(num_identities=395))
    model.build_from(384, 128)
    return model


def size(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)


def test_parameters_are_as_many_as_published(whole):
    features = 14336
    assert whole.embedder.feature_sizes == {"neck": features, "pool": features}
    # The published neck has an offset, frozen at 0; ours has none.
    assert size(whole.trainable_variables) + features == 52_517_958
    assert size(whole.trained_variables) == 41_178_182
    assert size(whole.embedder.trainable_variables) + features == 24_204_358
    fewer = (395 - 206) * features
    assert size(whole.trainable_variables) + features - 5 * fewer == 38_970_438
    assert size(whole.trained_variables) - 3 * fewer == 33_049_670
    assert size(whole.embedder.alleviation_layer3.weights) == 131_072
    assert size(whole.embedder.alleviation_layer4.weights) == 524_288
    assert size(whole.embedder.patterns.weights) == 12_294
    assert (whole.embedder.neck.gamma.numpy() == 1.0).all()
    limit = 1 / np.sqrt(2048)
    kernel = whole.embedder.patterns.masks.kernel.numpy()
    assert (
        0.99 * limit < np.abs(kernel).max() <= limit and not whole.embedder.patterns.masks.bias.numpy().any()
    )
