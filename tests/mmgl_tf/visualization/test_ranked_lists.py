import numpy as np
import pytest

from mmgl_tf.visualization.grid import RIGHT, WRONG, Sheet
from mmgl_tf.visualization.ranked_lists import FRAME, UNKNOWN, describe, ranked_lists

TEXTS = {"split": "test split, gallery of 40 images", "rule": "2 of 9 queries, drawn at random with seed 0"}


@pytest.fixture
def said(monkeypatch):
    texts, real = [], Sheet.text

    def spy(self, x, y, text, *args, **kwargs):
        texts.append((text, x, y))
        real(self, x, y, text, *args, **kwargs)

    monkeypatch.setattr(Sheet, "text", spy)
    return texts


def flat(values, height=24, width=12):
    """uint8 images of one colour each, (value, 0, 200): no text has such colours, so they can be found."""
    colours = np.stack(np.broadcast_arrays(np.asarray(values, np.uint8), np.uint8(0), np.uint8(200)), axis=-1)
    return np.broadcast_to(colours[..., None, None, :], (*colours.shape[:-1], height, width, 3))


def sheet(queries=2, length=3, right=None, **kwargs):
    right = np.zeros((queries, length), bool) if right is None else np.asarray(right)
    captions = [[f"person {row}{place}" for place in range(length)] for row in range(queries)]
    return ranked_lists(
        flat(50 + np.arange(queries)),
        flat(100 + np.arange(queries * length).reshape(queries, length)),
        right,
        [f"query {row}" for row in range(queries)],
        captions,
        **TEXTS | kwargs,
    )


def box(picture, value):
    rows, columns = np.nonzero((picture == (value, 0, 200)).all(-1))
    return rows.min(), rows.max(), columns.min(), columns.max()


def test_rows_are_queries_places_run_to_the_right_and_frames_tell_right_from_wrong():
    right = np.array([[True, False, True], [False, False, True]])
    picture = sheet(right=right)
    assert picture.dtype == np.uint8
    boxes = {(row, place): box(picture, 100 + 3 * row + place) for row in range(2) for place in range(3)}
    for (row, place), (top, bottom, left, end) in boxes.items():
        colour = RIGHT if right[row, place] else WRONG
        assert (picture[top - FRAME : top, left : end + 1] == colour).all()
        assert (picture[bottom + 1 : bottom + 1 + FRAME, left : end + 1] == colour).all()
        assert (picture[top : bottom + 1, left - FRAME : left] == colour).all()
        assert (picture[top : bottom + 1, end + 1 : end + 1 + FRAME] == colour).all()
        assert (bottom - top + 1, end - left + 1) == (168, 84)
        query = box(picture, 50 + row)
        assert query[0] == top
        assert Sheet.margin <= query[2] < query[3] < left
        if place:
            assert boxes[row, place - 1][3] < left
        if row:
            assert boxes[row - 1, place][1] < top


def test_everything_that_must_be_known_stands_on_the_sheet(said, monkeypatch):
    notes, real = [], Sheet.__init__

    def spy(self, width, body_height, title, sentences=()):
        notes.extend([title, *sentences])
        real(self, width, body_height, title, sentences)

    monkeypatch.setattr(Sheet, "__init__", spy)
    picture = sheet(right=[[True, False, True], [False, False, True]], title="AGW from MMGL")
    assert notes[0] == "AGW from MMGL"
    assert "Test split, gallery of 40 images. Shown: 2 of 9 queries, drawn at random with seed 0." in notes
    assert "First place right for 1 of these 2 queries." in notes[2]
    texts = {text: (x, y) for text, x, y in said}
    for row in range(2):
        assert box(picture, 50 + row)[1] < texts[f"query {row}"][1]
        for place in range(3):
            _, bottom, left, end = box(picture, 100 + 3 * row + place)
            x, y = texts[f"person {row}{place}"]
            assert abs(x - (left + end) / 2) <= 1
            assert bottom + FRAME < y < bottom + 30
            assert abs(texts[str(place + 1)][0] - (left + end) / 2) <= 1


def test_a_query_without_a_right_image_in_its_list_says_where_the_first_one_is(said):
    right = [[False] * 3, [False] * 3, [False, True, False]]
    sheet(3, right=right, first_right=[17, 0, 2])
    texts = [text for text, _, _ in said]
    assert "first right image at place 17" in texts
    assert "the gallery has no image of this person" in texts
    assert "first right image at place 2" not in texts


def test_float_images_are_unnormalised():
    mean, std = (0.5, 0.25, 0.75), (0.5, 0.5, 0.5)
    one, other = np.full((1, 8, 4, 3), -0.5, "f4"), np.full((1, 1, 8, 4, 3), 0.25, "f4")
    picture = ranked_lists(one, other, [[True]], ["a"], [["b"]], **TEXTS, mean=mean, std=std)
    # -.5 * .5 + mean = .25, 0, .5; .25 * .5 + mean = .625, .375, .875.
    query, found = ((picture == colour).all(-1) for colour in ((64, 0, 128), (159, 96, 223)))
    assert query.any()
    assert found.any()
    assert np.nonzero(query)[1].max() < np.nonzero(found)[1].min()


@pytest.mark.parametrize(("queries", "length"), [(1, 1), (5, 10), (2, 20)])
def test_it_fits_the_page(queries, length):
    picture = sheet(queries, length)
    assert 640 <= picture.shape[1] <= 1600
    assert (picture[:, -8:] == 255).all()


def test_captions():
    assert describe(12, 3) == "person 12\ncamera 3"
    assert describe(12) == describe(12, None) == describe(12, -1) == "person 12"


@pytest.mark.parametrize(
    "change",
    [
        {"query_images": flat([1])},
        {"gallery_images": flat([1, 2])},
        {"right": np.zeros((2, 2), bool)},
        {"query_captions": ["a"]},
        {"gallery_captions": [["b"] * 3, ["b"] * 2]},
        {"first_right": [1]},
    ],
)
def test_what_does_not_belong_together_is_refused(change):
    arguments = {
        "query_images": flat([1, 2]),
        "gallery_images": flat(np.ones((2, 3))),
        "right": np.zeros((2, 3), bool),
        "query_captions": ["a"] * 2,
        "gallery_captions": [["b"] * 3] * 2,
    }
    ranked_lists(**arguments, **TEXTS)
    with pytest.raises(ValueError, match=r"expected \[Q, H, W, 3\]|not enough values"):
        ranked_lists(**arguments | change, **TEXTS)


def test_float_images_without_their_normalisation_are_refused():
    with pytest.raises(ValueError, match="without mean and std"):
        ranked_lists(flat([1]) / 255, flat([[1]]), [[True]], ["a"], [["b"]], **TEXTS)


def test_where_nobody_is_known_frames_are_grey_and_nothing_is_called_right(said):
    captions = [["0.9"] * 3, ["0.8"] * 3]
    gallery = flat(100 + np.arange(6).reshape(2, 3))
    picture = ranked_lists(flat(50 + np.arange(2)), gallery, None, ["a", "b"], captions, **TEXTS)
    top, _, left, end = box(picture, 100)
    assert (picture[top - FRAME : top, left : end + 1] == UNKNOWN).all()
    assert not (picture == RIGHT).all(-1).any()
    assert not (picture == WRONG).all(-1).any()
    assert [text for text, _, _ in said].count("0.9") == 3


def test_the_notes_of_a_sheet_claim_nothing_where_nobody_is_known(monkeypatch):
    notes, real = [], Sheet.__init__

    def spy(self, width, body_height, title, lines=()):
        notes.extend(lines)
        real(self, width, body_height, title, lines)

    monkeypatch.setattr(Sheet, "__init__", spy)
    ranked_lists(flat(50 + np.arange(1)), flat([[100]]), None, ["a"], [["b"]], **TEXTS)
    assert "not known" in notes[1]
    assert "Green" not in notes[1]
    assert "First place" not in notes[1]
