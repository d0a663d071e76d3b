import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.swapped_assignment import (
    prototype_use,
    sinkhorn_codes,
    swapped_accuracy,
    swapped_assignment_loss,
)
from tests.mmgl_tf.losses.view_pairs import assert_follows, numeric_gradients, with_gradients


def drawn_scores(seed=10, count=7, prototypes=5):
    return 0.3 * np.random.RandomState(seed).randn(count, prototypes)


def slow_codes(scores, epsilon=0.05, iterations=3):
    """As SwAV's paper and code write it: total 1, prototypes to 1 / K, images to 1 / n, times n."""
    masses = np.exp(scores / epsilon).T
    masses /= masses.sum()
    prototypes, count = masses.shape
    for _ in range(iterations):
        for k in range(prototypes):
            masses[k] /= masses[k].sum() * prototypes
        for i in range(count):
            masses[:, i] /= masses[:, i].sum() * count
    return (masses * count).T


def slow_loss(scores, codes, temperature=0.1):
    """SwAV's order: over the other views, divided by V - 1, then over the assigning views."""
    loss = 0.0
    for a, code in enumerate(codes):
        own = 0.0
        for v, view in enumerate(scores):
            if v == a:
                continue
            for i in range(len(view)):
                shares = np.exp(view[i] / temperature) / np.exp(view[i] / temperature).sum()
                own -= sum(code[i] * np.log(shares)) / len(view)
        loss += own / (len(scores) - 1)
    return loss / len(codes)


def test_codes_of_another_implementation():
    """lightly 1.6.0, sinkhorn, float64."""
    codes = sinkhorn_codes(drawn_scores()).numpy()
    expected = [
        0.8013924624601412,
        0.12842086708572648,
        2.743980881743782e-07,
        2.500106446279633e-06,
        0.07018389594959808,
    ]
    np.testing.assert_allclose(codes[0], expected, rtol=1e-10)
    expected = [
        1.2590934187198479e-05,
        1.4996747937532638e-05,
        0.0014918456265578604,
        3.480749473868941e-08,
        0.9984805318838228,
    ]
    np.testing.assert_allclose(codes[6], expected, rtol=1e-10)


def test_codes_with_a_queue_of_another_implementation():
    codes = sinkhorn_codes(drawn_scores(), queue=drawn_scores(20, 9)).numpy()
    assert codes.shape == (7, 5)
    expected = [
        0.6803014830180041,
        0.1414709864871813,
        2.1276834223833965e-08,
        4.272276942257916e-06,
        0.17822323694103825,
    ]
    np.testing.assert_allclose(codes[0], expected, rtol=1e-10)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(("epsilon", "iterations"), [(0.05, 3), (0.05, 1), (0.3, 5)])
def test_codes_follow_the_slow_version(epsilon, iterations, jit):
    compiled = tf.function(lambda x: sinkhorn_codes(x, epsilon, iterations), jit_compile=jit, autograph=False)
    scores = drawn_scores()
    found = compiled(tf.constant(scores, tf.float32))
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, slow_codes(scores, epsilon, iterations), rtol=2e-4, atol=1e-6)
    np.testing.assert_allclose(
        sinkhorn_codes(scores, epsilon, iterations), slow_codes(scores, epsilon, iterations)
    )


def test_every_image_has_a_whole_code_and_prototypes_share_nearly_alike():
    codes = sinkhorn_codes(drawn_scores(count=60)).numpy()
    np.testing.assert_allclose(codes.sum(axis=1), 1.0, rtol=1e-12)
    assert 0 < np.abs(codes.sum(axis=0) / 12 - 1).max() < 0.3
    many = sinkhorn_codes(drawn_scores(count=60), iterations=200).numpy()
    np.testing.assert_allclose(many.sum(axis=0), 12.0, rtol=1e-3)


def test_cosines_at_the_ends_do_not_overflow_float32():
    scores = np.where(np.eye(4), 1.0, -1.0).astype("float32")
    codes = sinkhorn_codes(100 * scores).numpy()  # exp(2000) has no float at all
    np.testing.assert_allclose(codes, np.eye(4), atol=1e-6)
    lonely = np.zeros((6, 4), "float32")
    lonely[:, 0] = 1.0  # everybody prefers one prototype: after Sinkhorn they share all four
    np.testing.assert_allclose(sinkhorn_codes(lonely), 0.25, rtol=1e-5)


def test_codes_carry_no_gradient():
    scores = tf.Variable(drawn_scores())
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(tf.square(sinkhorn_codes(scores, queue=drawn_scores(20, 9))))
    assert tape.gradient(total, scores) is None


def test_loss_of_another_implementation():
    """lightly 1.6.0, SwaVLoss, float64: two views, then two views and two small ones."""
    views = [drawn_scores(10 + i) for i in range(4)]

    def loss(*scores):
        return swapped_assignment_loss(scores, [sinkhorn_codes(view) for view in scores[:2]])

    value, gradients = with_gradients(loss, *views[:2])
    assert value == pytest.approx(2.622116934408445, rel=1e-12)
    assert [np.linalg.norm(g) for g in gradients] == pytest.approx([1.4850115350126556, 1.5357355303567812])
    value, gradients = with_gradients(loss, *views)
    assert value == pytest.approx(3.8182752207288617, rel=1e-12)
    norms = [0.49500384500421846, 0.5119118434522603, 1.175434652803075, 1.2607694342284026]
    assert [np.linalg.norm(g) for g in gradients] == pytest.approx(norms)
    firsts = [-0.051848347977748836, 0.0452607547802901, -0.3029612846824711, -0.42582355151743473]
    assert [g[0, 0] for g in gradients] == pytest.approx(firsts)


@pytest.mark.parametrize(("views", "assigning"), [(2, 2), (4, 2), (3, 1)])
def test_value_and_gradients_follow_the_slow_version(views, assigning):
    scores = [drawn_scores(seed, 4, 3) for seed in range(views)]
    codes = [slow_codes(view) for view in scores[:assigning]]
    constants = [code.astype("float32") for code in codes]
    assert_follows(lambda *x: swapped_assignment_loss(x, constants), lambda *x: slow_loss(x, codes), *scores)


def test_gradient_treats_the_codes_as_constants():
    scores = [drawn_scores(seed, 4, 3) for seed in range(2)]
    _, gradients = with_gradients(
        lambda *x: swapped_assignment_loss(x, [tf.nn.softmax(view) for view in x]), *scores
    )
    codes = [tf.nn.softmax(view).numpy() for view in scores]
    for gradient, expected in zip(
        gradients, numeric_gradients(lambda *x: slow_loss(x, codes), *scores), strict=True
    ):
        np.testing.assert_allclose(gradient, expected, atol=1e-8)


def test_flat_scores_cost_ln_of_the_prototypes():
    flat = [np.zeros((6, 500), "float32")] * 2
    codes = [sinkhorn_codes(view) for view in flat]
    assert swapped_assignment_loss(flat, codes).numpy() == pytest.approx(np.log(500), rel=1e-6)


def test_accuracy_compares_codes_with_the_other_views():
    right, wrong = np.eye(3)[[0, 1, 2, 0]], np.eye(3)[[0, 2, 1, 1]]
    assert swapped_accuracy([right, right], [right, right]).numpy() == 1.0
    assert swapped_accuracy([right, wrong], [right, wrong]).numpy() == 0.25
    assert swapped_accuracy([right, wrong], [wrong, right]).numpy() == 1.0  # never the own view
    assert swapped_accuracy([wrong, right, wrong], [right]).numpy() == pytest.approx((1 + 0.25) / 2)


def test_use_of_prototypes():
    scores = np.eye(6)[[0, 0, 0, 0, 1, 1, 2, 3]] * 0.1
    entropy, largest = prototype_use(scores)
    shares = np.array([4, 2, 1, 1]) / 8
    assert entropy.numpy() == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-6)
    assert largest.numpy() == 0.5
    even, share = prototype_use(np.eye(6))
    assert (even.numpy(), share.numpy()) == pytest.approx((np.log(6), 1 / 6))
    # One point far from all prototypes: the softmax is nearly even, the use is not.
    entropy, largest = prototype_use(np.tile(np.random.RandomState(0).randn(1, 500) * 0.01, (9, 1)))
    assert (entropy.numpy(), largest.numpy()) == (0.0, 1.0)
    assert entropy.dtype == largest.dtype == tf.float32


def test_half_precision_is_raised_first():
    views = [tf.cast(drawn_scores(seed), tf.float16) for seed in (1, 2)]
    codes = [sinkhorn_codes(view) for view in views]
    assert codes[0].dtype == tf.float32
    loss = swapped_assignment_loss(views, codes)
    assert loss.dtype == tf.float32
    exact = [view.numpy().astype("float64") for view in views]
    assert loss.numpy() == pytest.approx(slow_loss(exact, [slow_codes(view) for view in exact]), rel=1e-5)


def test_wrong_arguments_say_what_was_expected():
    scores = drawn_scores()
    with pytest.raises(ValueError, match=r"epsilon=0.*positive epsilon"):
        sinkhorn_codes(scores, epsilon=0)
    with pytest.raises(ValueError, match="at least 1 iteration"):
        sinkhorn_codes(scores, iterations=0)
    with pytest.raises(ValueError, match="scores of 1 views and the codes of 1"):
        swapped_assignment_loss([scores], [scores])
    with pytest.raises(ValueError, match="scores of 2 views and the codes of 3"):
        swapped_accuracy([scores] * 2, [scores] * 3)
    with pytest.raises(ValueError, match="temperature=0"):
        swapped_assignment_loss([scores] * 2, [scores], temperature=0)
