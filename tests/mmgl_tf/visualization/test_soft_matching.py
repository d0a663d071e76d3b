import warnings

import numpy as np
import pytest

from mmgl_tf.visualization.soft_matching import soft_matching_matrix, stripe_names


def picture(part, slot=None, **numbers):
    numbers = {"part_mass": 0.5, "slot_mass": 0.6, "identity_lift": 1.9} | numbers
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return soft_matching_matrix(part, part if slot is None else slot, **numbers)


@pytest.mark.parametrize("size", [2, 6, 12])
def test_shape_and_type(size):
    drawn = picture(np.full((size, size), 1 / size))
    assert drawn.dtype == np.uint8
    assert drawn.shape == (660, 1400, 3)


def test_more_mass_is_a_darker_cell_on_the_left_panel():
    light, dark = (picture(np.eye(6) * mass + 0.01, np.eye(6)) for mass in (0.1, 0.9))
    changed = (light != dark).any(-1)
    columns = np.nonzero(changed)[1]
    assert columns.max() < 700  # the slot panel has not moved
    assert dark[changed].mean() < light[changed].mean()


def test_every_number_is_on_the_sheet():
    matrix = np.full((6, 6), 1 / 6)
    base = picture(matrix)
    for change in ({"part_mass": 0.4}, {"slot_mass": 0.7}, {"identity_lift": 1.1}, {"chance": 0.3}):
        assert (picture(matrix, **change) != base).any(), change
    assert (picture(matrix, chance=1 / 6) == base).all()


def test_unknown_values_are_drawn_without_warning():
    unknown = picture(np.full((6, 6), np.nan), identity_lift=None)
    assert (unknown == picture(np.full((6, 6), np.nan), identity_lift=np.nan)).all()


def test_stripes_have_names():
    assert stripe_names(6) == ["0 top", "1", "2", "3", "4", "5 bottom"]
    assert stripe_names(3) == ["0 top", "1", "2 bottom"]


def test_refuses_matrices_of_different_size():
    with pytest.raises(ValueError, match=r"part matrix \(6, 6\) and slot matrix \(4, 4\)"):
        picture(np.eye(6), np.eye(4))
