import itertools

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.cycle_contrast import cycle_contrast_loss, l2_normalise, soft_nearest_neighbour

DEFAULTS = {
    "temperature": 0.5,
    "neighbour_temperature": 0.3,
    "renormalise": True,
    "negatives": "cross",
    "backward": "retrieved",
    "exclude_self": False,
    "universe": "batch",
    "symmetric": True,
}
FORMS = [
    dict(
        zip(
            ("renormalise", "negatives", "backward", "exclude_self", "universe", "symmetric"),
            form,
            strict=True,
        )
    )
    for form in itertools.product(
        (True, False),
        ("cross", "both_sets", "forward_only"),
        ("retrieved", "query"),
        (True, False),
        ("batch", "pair"),
        (True, False),
    )
]


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def slow_neighbour(query, keys, temperature):
    weights = np.array([np.exp(np.dot(query, key) / temperature) for key in keys])
    weights = weights / weights.sum()
    return sum(weight * key for weight, key in zip(weights, keys, strict=True))


def slow_direction(own, other, options, stopped="none", frozen=None):
    """Eqs. 5 and 6 one query at a time; `frozen` holds (own, other) of the parts taken as constants."""
    retrieved, returned = [], []
    scale = unit if options["renormalise"] else np.asarray
    for b in range(len(own)):
        for n in range(len(own[b])):

            def cycle(own, other, keys, b=b, n=n):
                keys = keys[b] if options["universe"] == "pair" else keys.reshape(-1, keys.shape[-1])
                forth = scale(slow_neighbour(own[b, n], keys, options["neighbour_temperature"]))
                start = forth if options["backward"] == "retrieved" else own[b, n]
                mine = [own[b, m] for m in range(len(own[b])) if m != n or not options["exclude_self"]]
                return forth, scale(slow_neighbour(start, mine, options["neighbour_temperature"]))

            forth, back = cycle(own, other, frozen[1] if stopped == "universe" else other)
            if stopped == "backward":
                back = cycle(*frozen, frozen[1])[1]
            retrieved.append(forth)
            returned.append(back)
    count, losses = len(retrieved), []
    both = options["negatives"] == "both_sets"
    sides = [(retrieved, returned)]
    if options["negatives"] != "forward_only":
        sides.append((returned, retrieved))
    for anchors, partners in sides:
        for i in range(count):
            against = [np.dot(anchors[i], partners[j]) for j in range(count)]
            if both:
                against += [np.dot(anchors[i], anchors[j]) for j in range(count) if j != i]
            exponentials = np.exp(np.array(against) / options["temperature"])
            losses.append(-np.log(exponentials[i] / exponentials.sum()))
    return np.mean(losses)


def slow_loss(visible, infrared, options, stopped="none", frozen=None):
    first = slow_direction(visible, infrared, options, stopped, frozen)
    if not options["symmetric"]:
        return first
    second = slow_direction(infrared, visible, options, stopped, frozen and frozen[::-1])
    return (first + second) / 2.0


@pytest.fixture
def random():
    return np.random.default_rng(9)


def embeddings(random, pairs=3, stripes=4, size=3):
    return tuple(unit(random.normal(size=(2, pairs, stripes, size))))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_equals_the_slow_loop(random, form):
    visible, infrared = embeddings(random)
    options = DEFAULTS | form
    value = cycle_contrast_loss(visible, infrared, **options)
    assert value.shape == ()
    np.testing.assert_allclose(value, slow_loss(visible, infrared, options), rtol=1e-10)


@pytest.mark.parametrize("form", FORMS)
def test_joint_relabelling_of_pairs_and_slots_changes_nothing(random, form):
    visible, infrared = embeddings(random)
    options = DEFAULTS | form
    pairs, slots = random.permutation(3), random.permutation(4)
    np.testing.assert_allclose(
        cycle_contrast_loss(visible[pairs][:, slots], infrared[pairs][:, slots], **options),
        cycle_contrast_loss(visible, infrared, **options),
        rtol=1e-10,
    )


def test_a_rotation_of_all_embeddings_changes_nothing_and_modalities_may_swap(random):
    visible, infrared = embeddings(random)
    rotation = np.linalg.qr(random.normal(size=(3, 3)))[0]
    value = cycle_contrast_loss(visible, infrared, **DEFAULTS)
    np.testing.assert_allclose(
        cycle_contrast_loss(visible @ rotation, infrared @ rotation, **DEFAULTS), value, rtol=1e-10
    )
    np.testing.assert_allclose(cycle_contrast_loss(infrared, visible, **DEFAULTS), value, rtol=1e-10)


def test_defaults_are_those_of_the_paper(random):
    visible, infrared = embeddings(random)
    options = DEFAULTS | {"temperature": 0.07, "neighbour_temperature": 0.07}
    for neighbour_temperature in ({}, {"neighbour_temperature": 0.0}, {"neighbour_temperature": 0.07}):
        np.testing.assert_allclose(
            cycle_contrast_loss(visible, infrared, **neighbour_temperature),
            slow_loss(visible, infrared, options),
            rtol=1e-10,
        )


@pytest.mark.parametrize(
    ("negatives", "value"),
    [("cross", np.log(288)), ("forward_only", np.log(288)), ("both_sets", np.log(575))],
)
def test_equal_features_give_the_logarithm_of_the_number_of_candidates(negatives, value):
    features = np.zeros((48, 6, 256), np.float32)
    features[..., 3] = 1.0
    for universe, backward in itertools.product(("batch", "pair"), ("retrieved", "query")):
        loss = cycle_contrast_loss(
            features, features, negatives=negatives, universe=universe, backward=backward, exclude_self=True
        )
        np.testing.assert_allclose(loss, value, rtol=1e-5)


def test_features_that_tell_only_the_part_plateau_at_the_logarithm_of_the_pairs():
    features = np.tile(np.eye(6, 256, dtype=np.float32), (48, 1, 1))
    np.testing.assert_allclose(cycle_contrast_loss(features, features), np.log(48), atol=1e-3)
    np.testing.assert_allclose(
        cycle_contrast_loss(features, features, negatives="both_sets"), np.log(95), atol=1e-3
    )


def test_features_that_tell_every_stripe_cost_nothing():
    features = np.eye(24, dtype=np.float32).reshape(4, 6, 24)
    assert cycle_contrast_loss(features, features) < 1e-4


def test_soft_nearest_neighbour_equals_the_slow_loop(random):
    queries, keys = unit(random.normal(size=(5, 8))), unit(random.normal(size=(9, 8)))
    expected = [slow_neighbour(query, keys, 0.07) for query in queries]
    np.testing.assert_allclose(soft_nearest_neighbour(queries, keys, 0.07), expected, rtol=1e-10)
    mask = random.uniform(size=(5, 9)) < 0.6
    mask[:, 0] = True
    expected = [slow_neighbour(query, keys[row], 0.07) for query, row in zip(queries, mask, strict=True)]
    np.testing.assert_allclose(soft_nearest_neighbour(queries, keys, 0.07, mask=mask), expected, rtol=1e-10)


def test_soft_nearest_neighbour_limits(random):
    queries, keys = unit(random.normal(size=(2, 5, 8))), unit(random.normal(size=(2, 9, 8)))
    nearest = np.argmax(queries @ keys.swapaxes(1, 2), axis=-1)
    np.testing.assert_allclose(
        soft_nearest_neighbour(queries, keys, 1e-4),
        np.take_along_axis(keys, nearest[..., None], 1),
        atol=1e-9,
    )
    np.testing.assert_allclose(
        soft_nearest_neighbour(queries, keys, 1e6),
        np.broadcast_to(keys.mean(axis=1, keepdims=True), queries.shape),
        atol=1e-5,
    )
    nothing = soft_nearest_neighbour(queries[0], keys[0], 0.07, mask=np.zeros((5, 9), bool))
    np.testing.assert_allclose(nothing, np.tile(keys[0].mean(axis=0), (5, 1)), atol=1e-12)


@pytest.mark.parametrize("form", FORMS[::13])  # 13 is coprime to the 96 forms, so every choice is met
def test_gradient_against_central_differences(random, form):
    options = DEFAULTS | form
    theoretical, numerical = tf.test.compute_gradient(
        lambda visible, infrared: cycle_contrast_loss(visible, infrared, **options),
        list(embeddings(random, pairs=2, stripes=3, size=3)),
        delta=1e-5,
    )
    for autodiff, differences in zip(theoretical, numerical, strict=True):
        np.testing.assert_allclose(autodiff, differences, atol=1e-6)


@pytest.mark.parametrize("stopped", ["universe", "backward"])
@pytest.mark.parametrize("backward", ["retrieved", "query"])
def test_stopped_gradients_against_differences_with_the_constants_frozen(random, stopped, backward):
    frozen = embeddings(random, pairs=2, stripes=2, size=3)
    options = DEFAULTS | {"backward": backward}
    variables = [tf.constant(values) for values in frozen]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        loss = cycle_contrast_loss(*variables, **options, stop_gradient=stopped)
    np.testing.assert_allclose(loss, slow_loss(*frozen, options), rtol=1e-10)
    for which, gradient in enumerate(tape.gradient(loss, variables)):
        for index in np.ndindex(*gradient.shape):
            values = []
            for step in (1e-5, -1e-5):
                moved = [values.copy() for values in frozen]
                moved[which][index] += step
                values.append(slow_loss(*moved, options, stopped, frozen))
            np.testing.assert_allclose(gradient.numpy()[index], (values[0] - values[1]) / 2e-5, atol=1e-6)


def test_a_stopped_universe_leaves_the_other_modality_without_gradient(random):
    visible, infrared = (tf.constant(values) for values in embeddings(random))
    for stopped, moves in (("universe", False), ("none", True)):
        with tf.GradientTape() as tape:
            tape.watch([visible, infrared])
            loss = cycle_contrast_loss(visible, infrared, symmetric=False, stop_gradient=stopped)
        gradients = tape.gradient(loss, [visible, infrared], unconnected_gradients="zero")
        assert np.abs(gradients[0]).max() > 1e-3
        assert (np.abs(gradients[1]).max() > 1e-3) == moves


@pytest.mark.parametrize("form", FORMS[::5])
def test_zero_and_opposite_embeddings_have_finite_gradients(form):
    opposite = np.zeros((2, 2, 4), np.float32)
    opposite[:, 0, 0], opposite[:, 1, 0] = 1.0, -1.0  # soft neighbours cancel to zero
    for features in (np.zeros((2, 2, 4), np.float32), opposite):
        raw = tf.constant(features)
        with tf.GradientTape() as tape:
            tape.watch(raw)
            embedding = l2_normalise(raw)
            loss = cycle_contrast_loss(embedding, embedding[::-1], temperature=0.01, **form)
        assert np.isfinite(loss)
        assert np.isfinite(tape.gradient(loss, raw)).all()


def test_normalisation(random):
    vectors = random.normal(size=(4, 5))
    np.testing.assert_allclose(l2_normalise(vectors), unit(vectors), rtol=1e-12)
    assert l2_normalise(np.zeros(3, np.float32)).numpy().tolist() == [0.0, 0.0, 0.0]
    large = l2_normalise(tf.constant([3e4, 4e4], tf.float16))
    assert large.dtype == tf.float32
    np.testing.assert_allclose(large, [0.6, 0.8], rtol=1e-3)
    theoretical, numerical = tf.test.compute_gradient(l2_normalise, [vectors], delta=1e-5)
    np.testing.assert_allclose(theoretical[0], numerical[0], atol=1e-6)
    short = tf.zeros([3])
    with tf.GradientTape() as tape:
        tape.watch(short)
        total = tf.reduce_sum(l2_normalise(short))
    np.testing.assert_allclose(tape.gradient(total, short), 1e8, rtol=1e-4)


def test_graph_with_an_unknown_batch_size(random):
    visible, infrared = (values.astype(np.float32) for values in embeddings(random))
    spec = tf.TensorSpec([None, 4, 3])
    for negatives, universe in itertools.product(("cross", "both_sets"), ("batch", "pair")):
        graph = tf.function(
            lambda v, r, n=negatives, u=universe: cycle_contrast_loss(v, r, negatives=n, universe=u),
            input_signature=[spec, spec],
            autograph=False,
        )
        expected = cycle_contrast_loss(visible, infrared, negatives=negatives, universe=universe)
        np.testing.assert_allclose(graph(visible, infrared), expected, rtol=1e-5)


def test_unknown_options_are_named(random):
    visible, infrared = embeddings(random)
    for name in ("negatives", "backward", "universe", "stop_gradient"):
        with pytest.raises(ValueError, match=f"{name}='nothing'; expected one of"):
            cycle_contrast_loss(visible, infrared, **{name: "nothing"})
