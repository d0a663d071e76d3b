"""VCD: two passes of the shared encoder, what is trained, parameters, weights of the losses."""

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning.vcd import Vcd
from mmgl_tf.flags.config import options_type
from mmgl_tf.losses.identification.label_smoothing import smoothed_identity_loss
from mmgl_tf.losses.identification.ranked_list import ranked_list
from mmgl_tf.losses.identification.sinkhorn_distance import sinkhorn_distance
from mmgl_tf.losses.identification.variational_distillation import variational_distillation
from mmgl_tf.training.checkpoints import collect, restore
from mmgl_tf.training.plan import TrainingPlan
from tests.contracts.cases import case, take_step

ORDER = ("infrared", "shared_grey", "visible", "shared")
CANCELLED = {
    f"{layer}/bias"
    for whose in ("infrared", "shared", "visible")
    for layer in (
        f"bottleneck_{whose}/linear1",
        f"bottleneck_{whose}/linear2",
        f"represented_classifier_{whose}/linear1",
    )
}


@pytest.fixture(scope="module")
def tiny():
    """(case, model, its state, outputs of the first batch, gathered and joined)."""
    of = case("vcd", learning_rate=1e-3)
    model = of.model()
    start = collect(model)
    outputs = model.outputs(of.batch())
    joined = model.joined(outputs)
    return of, model, start, outputs, joined


@pytest.fixture
def model(tiny):
    """The model at its start."""
    restore(tiny[1], tiny[2])
    return tiny[1]


def moved_twice(start, first, second):
    return 0.9 * (0.9 * start + 0.1 * first) + 0.1 * second


def test_the_shared_encoder_runs_twice_grey_first_each_with_its_own_statistics(tiny, model):
    batch = tiny[0].batch()
    images = {name: batch[name] for name in ("visible", "infrared")}
    pooled = {name: each["pool"].numpy() for name, each in model.embedder.observe(images, True).items()}
    means = {name: value.mean(axis=0) for name, value in pooled.items()}
    variances = {name: value.var(axis=0, ddof=1) for name, value in pooled.items()}
    close = {"rtol": 1e-4, "atol": 1e-6}
    neck = model.embedder.neck_shared
    np.testing.assert_allclose(
        neck.moving_mean, moved_twice(0.0, means["shared_grey"], means["shared"]), **close
    )
    np.testing.assert_allclose(
        neck.moving_variance, moved_twice(1.0, variances["shared_grey"], variances["shared"]), **close
    )
    assert np.abs(means["shared_grey"] - means["shared"]).max() > 1e-2, "the order could not be told"
    np.testing.assert_allclose(model.embedder.neck_infrared.moving_mean, 0.1 * means["infrared"], **close)


def test_the_shared_bottleneck_runs_twice_too_and_each_run_drops_for_itself(tiny, model):
    outputs = model.outputs(tiny[0].batch())
    joined = model.joined(outputs)
    kernel = model.bottleneck_shared.linear1.kernel.numpy()
    hidden = {name: (outputs[name].numpy() @ kernel).mean(axis=0) for name in ("shared_grey", "shared")}
    np.testing.assert_allclose(
        model.bottleneck_shared.norm1.moving_mean,
        moved_twice(0.0, hidden["shared_grey"], hidden["shared"]),
        rtol=1e-3,
        atol=1e-5,
    )
    alike = model.joined(outputs | {"shared": outputs["shared_grey"]})
    np.testing.assert_array_equal(alike["shared_represented"], alike["shared_grey_represented"])
    noisy = [alike[f"{name}_represented_logits"].numpy() for name in ("shared_grey", "shared")]
    assert np.abs(noisy[0] - noisy[1]).max() > 1e-6
    np.testing.assert_array_equal(joined["shared_grey_represented_logits"], noisy[0])


def test_all_images_of_both_modalities_are_seen_four_times(tiny):
    _, _, _, outputs, joined = tiny
    assert [name for name in outputs if name != "labels"] == list(ORDER)
    assert all(outputs[name].shape == (8, 256) for name in ORDER)
    for name in ORDER:
        assert joined[f"{name}_represented"].shape == (8, 16)
        assert joined[f"{name}_logits"].shape == joined[f"{name}_represented_logits"].shape == (8, 4)


def drawn_outputs(seed=0):
    """What the losses read, from a generator: 8 images of 4 people, 5 classes."""
    dice = np.random.default_rng(seed)
    sizes = {"": 6, "_logits": 5, "_represented": 3, "_represented_logits": 5}
    found = {
        f"{name}{what}": tf.constant(dice.normal(size=(8, size)), tf.float32)
        for name in ORDER
        for what, size in sizes.items()
    }
    return found | {"labels": tf.constant([0, 0, 1, 1, 0, 0, 1, 1])}


@pytest.mark.parametrize("form", ["released", "proper"])
def test_the_losses_are_weighed_as_released(tiny, model, form):
    assert model.term_weights == {"identity": 1.0, "rank": 1.0, "consistency": 8.0, "self": 2.0, "cross": 2.0}
    outputs = drawn_outputs()
    labels, modalities = outputs["labels"], tf.constant([0, 0, 0, 0, 1, 1, 1, 1])
    usual = model.options
    model.options = options_type("vcd")(vcd_distillation=form)
    terms, _ = model.losses(outputs, None)
    model.options = usual

    def cross_entropies(name):
        return sum(
            float(smoothed_identity_loss(outputs[f"{name}{what}"], labels, 0.1))
            for what in ("_logits", "_represented_logits")
        )

    def ranks(name):
        return sum(
            float(ranked_list(outputs[f"{name}{what}"], labels, modalities)[0])
            for what in ("", "_represented")
        )

    def distilled(teacher, student):
        pair = outputs[f"{teacher}_logits"], outputs[f"{student}_represented_logits"]
        return float(variational_distillation(*pair, form))

    def weighed(of):
        return 0.5 * of("infrared") + 0.5 * of("visible") + 0.25 * of("shared_grey") + 0.25 * of("shared")

    softmax = (tf.nn.softmax(outputs[f"{name}_logits"]) for name in ("infrared", "visible"))
    expected = {
        "identity": weighed(cross_entropies),
        "rank": weighed(ranks),
        "consistency": float(sinkhorn_distance(*softmax)[0]),
        "self": distilled("infrared", "infrared") + distilled("visible", "visible"),
        "cross": 0.5 * distilled("shared", "shared_grey") + 0.5 * distilled("shared_grey", "shared"),
    }
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(expected, rel=1e-5)


def test_everything_is_trained_but_biases_that_a_norm_takes_away(tiny, model):
    trained = {variable.path for variable in model.trained_variables}
    assert {variable.path for variable in model.trainable_variables} - trained == CANCELLED
    take_step(model, tiny[0].batch())
    state = collect(model)
    still = {path for path in trained if np.array_equal(state[f"weight/{path}"], tiny[2][f"weight/{path}"])}
    # Channel attention starts shut, but its gate has a gradient from the first step on.
    assert still == set()
    assert all(np.array_equal(state[f"weight/{path}"], tiny[2][f"weight/{path}"]) for path in CANCELLED)


def test_no_gradient_reaches_a_teacher(tiny):
    _, model, _, outputs, _ = tiny
    with tf.GradientTape(persistent=True) as tape:
        terms, _ = model.losses(model.joined(outputs), None)
    for term in ("self", "cross"):
        for whose in ("infrared", "shared", "visible"):
            assert tape.gradient(terms[term], getattr(model, f"classifier_{whose}").kernel.value) is None
    reached = {
        term: {
            whose
            for whose in ("infrared", "shared", "visible")
            if tape.gradient(terms[term], getattr(model, f"bottleneck_{whose}").linear1.kernel.value)
            is not None
        }
        for term in terms
    }
    every = {"infrared", "shared", "visible"}
    assert reached == {
        "identity": every,
        "rank": every,
        "consistency": set(),
        "self": {"infrared", "visible"},
        "cross": {"shared"},
    }


def size(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)


@pytest.mark.slow
def test_parameters_are_as_many_as_published():
    model = Vcd(Encoder("resnet50", "one"), options_type("vcd")(), 0, TrainingPlan(num_identities=395))
    model.build_from(256, 128)
    assert model.embedder.feature_sizes == {"neck": 8192, "pool": 8192}
    offsets = 3 * 2048  # of the published necks, frozen at 0
    assert size(model.trainable_variables) + offsets == 82_091_559
    unused = 3 * 2_049_000  # ImageNet's classifier in each encoder
    assert size(model.trainable_variables) + offsets + unused == 88_238_559
    fewer = (395 - 206) * (3 * (2048 + 1) + 3 * (256 + 1))
    assert size(model.trainable_variables) + offsets + unused - fewer == 86_931_057
    for whose in ("infrared", "shared", "visible"):
        parts = [getattr(model, f"{name}_{whose}") for name in ("bottleneck", "represented_classifier")]
        assert size([v for part in parts for v in part.trainable_variables]) == 3_042_367
    assert size(model.trainable_variables) - size(model.trained_variables) == 3 * (1000 + 500 + 256)


def test_classifiers_of_observations_start_from_values_as_small_as_the_authors(model):
    for whose in ("infrared", "visible", "shared"):
        classifier = getattr(model, f"classifier_{whose}")
        kernel = classifier.kernel.numpy()
        assert kernel.std() == pytest.approx(0.001, rel=0.1) and abs(kernel.mean()) < 1e-4
        assert not classifier.bias.numpy().any()
