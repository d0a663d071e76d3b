import numpy as np
import pytest

from mmgl_tf.visualization import panels
from mmgl_tf.visualization.grid import RIGHT, WRONG

MEAN, STD = (0.5, 0.25, 0.75), (0.5, 0.5, 0.5)
NORM = {"mean": MEAN, "std": STD}


def striped_people(orders, height=48, width=24):
    """Shuffled uint8 people whose original stripe j is one flat grey of value 20 + 30 j."""
    rows = height // orders.shape[1]
    values = (20 + 30 * orders).astype(np.uint8)
    return np.broadcast_to(np.repeat(values, rows, axis=1)[:, :, None, None], (len(orders), height, width, 3))


def has(picture, colour):
    return bool((picture == np.array(colour, np.uint8)).all(-1).any())


def count(picture, colour):
    return int((picture == np.array(colour, np.uint8)).all(-1).sum())


def orders(batch, num_stripes=6, seed=0):
    draw = np.random.default_rng(seed)
    return np.stack([draw.permutation(num_stripes) for _ in range(batch)])


@pytest.mark.parametrize(
    ("batch", "height", "width", "num_stripes"), [(1, 96, 48, 6), (48, 288, 144, 6), (5, 96, 48, 12)]
)
def test_panels_are_uint8_rgb_and_fit_the_page(batch, height, width, num_stripes):
    order = orders(batch, num_stripes)
    images = np.random.default_rng(1).normal(size=(batch, height, width, 3)).astype(np.float32)
    for picture in (
        panels.augmented_batch(images, images, order, **NORM),
        panels.recovered_stripes(images, order, order, ["visible"] * batch, selection="all", **NORM),
    ):
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        assert picture.shape[2] == 3
        assert 400 <= picture.shape[1] <= 1600
        assert picture.shape[0] <= 1600


def test_augmented_batch_shows_unnormalised_colours_visible_above_infrared():
    # visible 1.0 * .5 + mean -> clipped to 1, .75, 1; infrared -.5 * .5 + mean -> .25, 0, .5 (64, 0, 128).
    visible, infrared = np.full((1, 8, 4, 3), 1.0, "f4"), np.full((1, 8, 4, 3), -0.5, "f4")
    picture = panels.augmented_batch(visible, infrared, **NORM)
    rows = {
        name: np.flatnonzero((picture == np.array(colour, np.uint8)).all(-1).any(1))
        for name, colour in (("visible", (255, 191, 255)), ("infrared", (64, 0, 128)))
    }
    assert len(rows["visible"]) == len(rows["infrared"]) == panels.IMAGE_PIXELS
    assert rows["visible"].max() < rows["infrared"].min()


def test_augmented_batch_puts_the_stripes_back_in_both_modalities():
    order = orders(2)
    order[1] = [2, 0, 1, 5, 3, 4]
    visible = striped_people(order)
    shared = panels.augmented_batch(visible, visible, order, **NORM)
    doubled = panels.augmented_batch(visible, visible, np.concatenate([order, order]), **NORM)
    np.testing.assert_array_equal(shared, doubled)
    own = orders(2, seed=5)
    picture = panels.augmented_batch(visible, striped_people(own), np.concatenate([order, own]), **NORM)
    whole = striped_people(np.tile(np.arange(6), (2, 1)))
    expected = panels.augmented_batch(whole, whole, **NORM)
    top, bottom = [
        [int(p[row, 130, 0]) for row in range(p.shape[0]) if p[row, 130, 0] in (20, 50, 80, 110, 140, 170)]
        for p in (picture, expected)
    ]
    assert top == bottom  # the same greys in the same order down the page, head to feet twice
    assert sorted(top[: len(top) // 2]) == top[: len(top) // 2]
    assert len(top) > 300


def test_augmented_batch_shows_twelve_pairs_at_most_and_refuses_nonsense():
    images = np.zeros((48, 8, 4, 3), np.uint8)
    np.testing.assert_array_equal(
        panels.augmented_batch(images, images, max_pairs=12, **NORM),
        panels.augmented_batch(images, images, **NORM),
    )
    with pytest.raises(ValueError, match="two equal shapes"):
        panels.augmented_batch(images, images[:4], **NORM)
    with pytest.raises(ValueError, match="7 stripe orders for 48 pairs; expected 48"):
        panels.augmented_batch(images, images, orders(7, 4), **NORM)


def marked(recovered, order=((3, 1, 0, 2, 5, 4),)):
    order = np.array(order)
    return panels.recovered_stripes(
        striped_people(order), order, np.array(recovered), ["infrared"], selection="one", **NORM
    )


def test_right_stripes_are_green_and_wrong_ones_red():
    right = marked([[3, 1, 0, 2, 5, 4]])
    assert has(right, RIGHT)
    assert not has(right, WRONG)
    wrong = marked([[1, 3, 2, 0, 4, 5]])
    assert has(wrong, WRONG)
    assert not has(wrong, RIGHT)
    two_swapped = marked([[3, 1, 0, 2, 4, 5]])
    assert count(two_swapped, RIGHT) > 1.5 * count(two_swapped, WRONG) > 0


def test_the_recovered_column_places_slots_where_the_network_says():
    # Slots hold stripes 1, 2, 0 and the network says 2, 0, 1. Position 0 gets slot 1 (stripe 2), position 1
    # slot 2 (stripe 0), position 2 slot 0 (stripe 1). The mistaken inverse would show 0, 1, 2.
    order = np.array([[1, 2, 0]])
    picture = panels.recovered_stripes(
        striped_people(order), order, np.array([[2, 0, 1]]), ["visible"], selection="one", **NORM
    )
    red = np.flatnonzero((picture == np.array(WRONG, np.uint8)).all(-1).sum(0) > 100)
    column = picture[:, (red.min() + red.max()) // 2, 0]
    values = [int(value) for value in column if value in (20, 50, 80)]
    assert [value for k, value in enumerate(values) if k == 0 or value != values[k - 1]] == [80, 20, 50]


def test_the_sheet_changes_with_the_rule_of_selection_and_the_numbers():
    order = np.array([[1, 0, 2]])
    images = striped_people(order)
    args = (images, order, order, ["visible"])
    one = panels.recovered_stripes(*args, selection="the first image", **NORM)
    two = panels.recovered_stripes(*args, selection="a drawn image", **NORM)
    assert one.shape == two.shape
    assert (one != two).any()


def test_recovered_stripes_refuses_what_does_not_belong_together():
    order = orders(2)
    images = striped_people(order)
    with pytest.raises(ValueError, match="1 modality names"):
        panels.recovered_stripes(images, order, order, ["visible"], selection="", **NORM)
    with pytest.raises(ValueError, match=r"recovered.*exact assignment"):
        panels.recovered_stripes(images, order, order * 0, ["visible"] * 2, selection="", **NORM)
