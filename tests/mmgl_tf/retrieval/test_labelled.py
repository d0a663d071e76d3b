import numpy as np
import pytest

from mmgl_tf.retrieval.labelled import LabelledFeatures

UNIT = np.eye(3, dtype=np.float64)


def test_types_and_order():
    images = LabelledFeatures(UNIT, [4, 5, 6], np.array([1, -1, 2], np.int32))
    assert (images.features.dtype, images.identities.dtype, images.cameras.dtype) == (
        np.float32,
        np.int64,
        np.int64,
    )
    taken = images.take([2, 0])
    assert (len(taken), taken.identities.tolist(), taken.cameras.tolist()) == (2, [6, 4], [2, 1])
    np.testing.assert_array_equal(taken.features, UNIT[[2, 0]])
    assert taken.lengths is None
    taken = LabelledFeatures(UNIT, [4, 5, 6], [1, 1, 1], [3.0, 0.0, 0.5]).take([2, 0])
    assert taken.lengths.dtype == np.float32 and taken.lengths.tolist() == [0.5, 3.0]


def test_zero_rows_and_no_rows_may_stand():
    assert len(LabelledFeatures(np.zeros((2, 3)), [1, 2], [1, 1])) == 2
    assert len(LabelledFeatures(np.zeros((0, 3)), [], [])) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((UNIT[0], [1, 2, 3], [1, 1, 1]), "expected .n, D."),
        ((UNIT, [1, 2], [1, 1, 1]), "identities are int64 of shape .2,.; expected 3 integers"),
        ((UNIT, [1, 2, 3], [1.0, 1.0, np.nan]), "cameras are float64"),
        ((UNIT, [1, 2, 3], [1, 1, 1], [1.0, 2.0]), "lengths have shape .2,.; expected 3 numbers"),
        ((UNIT, [1, 2, 3], [1, 1, 1], [1.0, 2.0, -1.0]), "lengths .* at least 0"),
        ((UNIT * 2, [1, 2, 3], [1, 1, 1]), "3 of 3 rows .* squared length 4"),
        ((UNIT * [[1], [1], [np.nan]], [1, 2, 3], [1, 1, 1]), "1 of 3 rows .* .row 2 has squared length nan"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        LabelledFeatures(*arguments)
