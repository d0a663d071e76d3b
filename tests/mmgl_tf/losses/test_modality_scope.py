import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.losses.modality_scope import by_scope
from mmgl_tf.losses.nt_xent import nt_xent
from tests.mmgl_tf.losses.view_pairs import drawn_views, with_gradients


def test_mixed_hands_the_views_over_as_they_are():
    first, second = drawn_views()
    expected = nt_xent(first, second)
    found = by_scope(nt_xent, "mixed", first, second)
    np.testing.assert_array_equal(found, expected)


def test_per_modality_is_the_mean_of_the_modalities():
    first, second = drawn_views(10)
    visible, infrared = nt_xent(first[:5], second[:5]), nt_xent(first[5:], second[5:])
    loss, accuracy = by_scope(nt_xent, "per_modality", first, second)
    assert loss.numpy() == pytest.approx((visible[0].numpy() + infrared[0].numpy()) / 2, rel=1e-12)
    assert accuracy.numpy() == pytest.approx((visible[1].numpy() + infrared[1].numpy()) / 2)
    assert abs(loss.numpy() - nt_xent(first, second)[0].numpy()) > 1e-3


def test_the_modalities_do_not_meet():
    first, second = drawn_views(10)
    _, gradients = with_gradients(
        lambda *views: by_scope(
            lambda x, y: tf.reduce_sum(tf.matmul(x, y, transpose_b=True)), "per_modality", *views
        ),
        first,
        second,
    )
    np.testing.assert_allclose(gradients[0][:5], np.tile(second[:5].sum(axis=0) / 2, (5, 1)))
    np.testing.assert_allclose(gradients[0][5:], np.tile(second[5:].sum(axis=0) / 2, (5, 1)))


def test_nests_of_views_and_of_results_are_split_and_averaged_part_by_part():
    views = [np.arange(8.0).reshape(4, 2), np.arange(8.0, 16.0).reshape(4, 2)]

    def loss(views, extra):
        return {
            "sum": tf.reduce_sum(views[0]) + tf.reduce_sum(views[1]),
            "parts": (tf.reduce_max(extra["x"]),),
        }

    found = by_scope(loss, "per_modality", views, {"x": np.array([1.0, 2.0, 5.0, 3.0])})
    assert found["sum"].numpy() == 60.0
    assert found["parts"][0].numpy() == 3.5


def test_an_unknown_scope_and_odd_rows_are_refused():
    with pytest.raises(ValueError, match="scope='both'; expected one of mixed, per_modality"):
        by_scope(nt_xent, "both", np.ones((4, 2)), np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"shape \(3, 2\) .* as many infrared rows as visible ones"):
        by_scope(nt_xent, "per_modality", np.ones((3, 2)), np.ones((3, 2)))
