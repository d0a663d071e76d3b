import numpy as np
import pytest

from mmgl_tf.visualization.grid import RIGHT, WRONG
from mmgl_tf.visualization.image_rows import FRAME, GAP, LABEL, ROW_PIXELS, image_rows

COLOURS = ((10, 200, 30), (200, 10, 30), (30, 10, 200))


def people(count, first=0):
    """Images of one flat colour each, uint8 [count, 12, 6, 3]."""
    return np.stack([np.full((12, 6, 3), COLOURS[(first + n) % 3], np.uint8) for n in range(count)])


def pixels_of(picture, colour):
    return int((picture == np.array(colour, np.uint8)).all(-1).sum())


def test_each_image_stands_once_in_its_row_and_column():
    picture = image_rows({"first": people(3), "second": people(3, first=1)}, title="Rows")
    one = ROW_PIXELS * ROW_PIXELS // 2
    assert [pixels_of(picture, colour) for colour in COLOURS] == [2 * one] * 3
    columns = [np.flatnonzero((picture == np.array(c, np.uint8)).all(-1).any(0)) for c in COLOURS]
    assert columns[0].min() >= LABEL and columns[0].max() - columns[0].min() > ROW_PIXELS


def test_a_shorter_row_leaves_its_last_places_blank():
    whole = image_rows({"first": people(3), "second": people(3)}, title="Rows")
    short = image_rows({"first": people(3), "second": people(1)}, title="Rows")
    assert short.shape == whole.shape
    background = short[-1, -1]
    place = ROW_PIXELS // 2 + GAP
    last = short[-ROW_PIXELS - FRAME : -2 * GAP, -2 * place : -GAP]
    assert (last == background).all()
    assert pixels_of(short, COLOURS[0]) == pixels_of(whole, COLOURS[0])
    assert pixels_of(short, COLOURS[2]) * 2 == pixels_of(whole, COLOURS[2])


def test_frames_and_captions_belong_to_a_row():
    rows = {"first": people(2), "second": people(2)}
    framed = image_rows(rows, title="Rows", frames={"second": [True, False]}, captions={"second": ["a", "b"]})
    plain = image_rows(rows, title="Rows")
    assert pixels_of(framed, RIGHT) == pixels_of(framed, WRONG) > 0 == pixels_of(plain, RIGHT)
    assert framed.shape[0] > plain.shape[0]


@pytest.mark.parametrize("rows", [{}, {"first": people(1)[:0]}])
def test_a_sheet_without_an_image_is_refused(rows):
    with pytest.raises(ValueError, match="rows without an image; expected at least one"):
        image_rows(rows, title="Rows")
