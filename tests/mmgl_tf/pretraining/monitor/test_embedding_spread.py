import numpy as np
import pytest

from mmgl_tf.pretraining.monitor.embedding_spread import effective_rank, feat_std, mean_cosine


def drawn(count=6, size=8, seed=0):
    return np.random.RandomState(seed).randn(count, size)


def test_feat_std_of_another_implementation():
    """lightly 1.6.0, std_of_l2_normalized, float64."""
    assert feat_std(drawn()) == pytest.approx(0.3336611421217362, rel=1e-12)


def test_feat_std_follows_the_slow_version():
    rows = drawn(9, 5, 3)
    unit = [row / np.sqrt(sum(row**2)) for row in rows]
    deviations = []
    for column in zip(*unit, strict=True):
        mean = sum(column) / 9
        deviations.append(np.sqrt(sum((value - mean) ** 2 for value in column) / 8))
    assert feat_std(rows) == pytest.approx(np.mean(deviations), rel=1e-12)
    assert feat_std(1e-3 * rows) == pytest.approx(feat_std(rows), rel=1e-9)


def test_feat_std_of_extremes():
    assert feat_std(drawn(4000, 128)) == pytest.approx(1 / np.sqrt(128), rel=0.01)
    assert feat_std(np.ones((9, 4))) < 1e-12
    assert feat_std(np.zeros((9, 4))) == 0.0


def test_mean_cosine_follows_the_slow_version():
    rows = drawn(7, 5, 1) + 1
    rows[2] = 0
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    cosines = [unit[i] @ unit[j] for i in range(7) for j in range(7) if i != j]
    assert mean_cosine(rows) == pytest.approx(np.mean(cosines), rel=1e-12)


def test_mean_cosine_of_extremes():
    assert mean_cosine(3 * np.ones((9, 4))) == pytest.approx(1.0, rel=1e-12)
    assert mean_cosine(np.eye(5)) == 0.0
    assert mean_cosine(np.array([(1, 0), (-2, 0)])) == pytest.approx(-1.0)
    assert abs(mean_cosine(drawn(4000, 128))) < 0.001


@pytest.mark.parametrize("figure", [feat_std, mean_cosine])
@pytest.mark.parametrize("rows", [np.ones((1, 4)), np.ones(4)])
def test_one_embedding_is_not_enough(figure, rows):
    with pytest.raises(ValueError, match=r"got embeddings of shape .* at least two rows"):
        figure(rows)


def test_effective_rank():
    random = np.random.default_rng(7)
    basis = np.linalg.qr(random.normal(size=(20, 20)))[0]
    np.testing.assert_allclose(effective_rank(basis[:, :5]), 5.0, rtol=1e-9)
    np.testing.assert_allclose(effective_rank(np.ones((30, 4)) * np.arange(1, 31)[:, None]), 1.0, atol=1e-6)
    assert effective_rank(np.zeros((3, 4))) == 0.0
    # Singular values 3 and 1, so shares 3/4 and 1/4.
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    np.testing.assert_allclose(effective_rank(np.diag([3.0, 1.0])), np.exp(entropy), rtol=1e-12)
