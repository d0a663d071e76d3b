import numpy as np
import pytest

from mmgl_tf.layers.attention.adaptive_stripes import adaptive_stripes

BANDS = {
    (6, 3): [(0, 2), (2, 4), (4, 6)],
    (7, 3): [(0, 3), (2, 5), (4, 7)],
    (8, 3): [(0, 3), (2, 6), (5, 8)],
    (5, 4): [(0, 2), (1, 3), (2, 4), (3, 5)],
    (3, 3): [(0, 1), (1, 2), (2, 3)],
    (4, 1): [(0, 4)],
}


@pytest.mark.parametrize(("rows", "count"), BANDS)
def test_bands_by_hand(rows, count):
    x = np.random.RandomState(0).randn(2, rows, 3, 4)
    expected = [x[:, a:b].mean(axis=(1, 2)) for a, b in BANDS[rows, count]]
    np.testing.assert_allclose(adaptive_stripes(x, count), np.stack(expected, axis=1), rtol=1e-12)


@pytest.mark.parametrize("count", [0, 7])
def test_too_many_stripes_say_what_was_expected(count):
    with pytest.raises(ValueError, match=rf"got {count} stripes .*from 1 to as many stripes"):
        adaptive_stripes(np.zeros((1, 6, 3, 4)), count)
