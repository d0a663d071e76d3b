import numpy as np
import pytest

from mmgl_tf.visualization.grid import RIGHT, WRONG
from mmgl_tf.visualization.tile_boards import _MIDDLE, _SPREAD, Layout, tile_boards

GREYS = np.arange(-4, 5) / 2.0  # of the nine tiles, each flat


def boards(layouts, number=9, count=1):
    tiles = np.zeros((count, number, 12, 6, 3), np.float32) + GREYS[:number, None, None, None]
    return tile_boards(tiles, layouts, ["visible"] * count, title="Tiles")


def places(picture, value):
    """Middle of the pixels of a tile's grey: (row, column). Median, as the text's edges may have it too."""
    found = np.argwhere((picture == int(np.rint(_MIDDLE + _SPREAD * value))).all(axis=2))
    return np.median(found, axis=0)


def test_places_go_column_by_column_and_show_their_slots():
    slots = np.array([[4, 0, 1, 2, 3, 5, 6, 7, 8]])
    picture = boards([Layout("input", slots)])
    spots = np.array([places(picture, GREYS[slot]) for slot in slots[0]]).reshape(3, 3, 2)
    down, across = spots[..., 0], spots[..., 1]
    assert (np.diff(down, axis=1) > 20).all() and np.ptp(down, axis=0).max() < 2
    assert (np.diff(across, axis=0) > 20).all() and np.ptp(across, axis=1).max() < 2


def test_frames_say_which_tiles_are_right():
    straight = np.arange(9)[None]
    right = np.ones((1, 9), bool)
    right[0, 2] = False
    picture = boards([Layout("recovered", straight, right)])

    def pixels(colour):
        return (picture == colour).all(axis=2).sum()

    plain = boards([Layout("input", straight)])
    assert not (plain == WRONG).all(axis=2).any() and not (plain == RIGHT).all(axis=2).any()
    right[:] = True
    every = boards([Layout("recovered", straight, right)])
    assert not (every == WRONG).all(axis=2).any()
    assert pixels(RIGHT) == pytest.approx(8 * pixels(WRONG), rel=0.6)  # the score's text is red as well


def test_many_images_stay_on_the_page_in_even_rows():
    slots = np.tile(np.arange(4), (8, 1))
    picture = boards([Layout("input", slots), Layout("true", slots)], number=4, count=8)
    assert picture.dtype == np.uint8 and picture.shape[1] <= 1600


def test_what_is_no_square_is_refused():
    with pytest.raises(ValueError, match=r"\(1, 6, 12, 6, 3\); expected .* T a square"):
        boards([Layout("input", np.arange(6)[None])], number=6)
