"""Jigsaw's batches: sets of permutations, tiles of 2x2 and 3x3, without colour."""

import functools

import numpy as np
import pytest

from mmgl_tf.pipelines.augmentation import permutation_sets
from mmgl_tf.pipelines.augmentation.operations.random_grey import RandomGrey
from mmgl_tf.pipelines.batches.recipe import Recipe, TileOrder, each_modality
from mmgl_tf.pipelines.batches.recipe_engine import RecipeEngine
from mmgl_tf.pipelines.random_plan import Draws
from tests.pipelines.augmentation.pictures import noise

ROWS = 3
permutation_set = functools.cache(permutation_sets.permutation_set)
GRIDS = {2: (4, 24), 3: (9, 64)}  # tiles and orders


def recipe(grid, grey=0.0, shared=False):
    tiles, orders = GRIDS[grid]
    order = TileOrder(permutation_set(tiles, orders), grid, grid, shared=shared)
    return Recipe(each_modality([[(RandomGrey(grey),)], [()]]), (order,))


def made(wanted, size, epoch=0, rows=ROWS):
    images = [noise(*size, seed=1), noise(*size, channels=1, seed=2)]
    engine = RecipeEngine(wanted, size, 1)
    draws = {modality: Draws(7, epoch, np.arange(rows)) for modality in (0, 1)}
    return engine(draws, lambda modality, row: images[modality]), images


def test_a_set_of_permutations_is_data_of_a_recipe():
    wanted = recipe(3)
    (order,) = wanted.targets
    assert order.permutations == tuple(map(tuple, permutation_set(9, 64).tolist()))
    assert wanted == recipe(3) and hash(wanted) == hash(recipe(3))
    assert type(order.permutations[0][0]) is int


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("size", [(96, 48), (288, 144)])
def test_slots_show_the_tiles_of_the_permutation_that_is_the_target(size, grid):
    wanted = recipe(grid)
    batch, images = made(wanted, size)
    (order,) = wanted.targets
    rows, columns = size[0] // grid, size[1] // grid
    shape = rows * 7 // 8, columns * 7 // 8
    assert batch["tile_order"].shape == (2 * ROWS,)
    for modality, name in enumerate(("visible", "infrared")):
        assert batch[name].shape == (ROWS, grid**2, *shape, 3)
        for row in range(ROWS):
            shown = order.permutations[batch["tile_order"][modality * ROWS + row]]
            for slot, tile in enumerate(shown):
                column, line = divmod(tile, grid)  # column by column
                cell = images[modality][line * rows :, column * columns :][:rows, :columns]
                assert is_cut_from(batch[name][row, slot], cell)


def is_cut_from(tile, cell):
    """Whether a normalised tile is a part of a cell, by itself normalised."""
    height, width, _ = tile.shape
    for down in range(len(cell) - height + 1):
        for right in range(cell.shape[1] - width + 1):
            cut = cell[down : down + height, right : right + width].astype(np.float64)
            # Noise goes with itself alone.
            if np.corrcoef(cut[0, :, 0], tile[0, :, 0])[0, 1] < 0.999:
                continue
            normalised = (cut - cut.mean(axis=(0, 1))) / cut.std(axis=(0, 1))
            return abs(normalised - tile).max() < 1e-4
    return False


def test_each_tile_has_mean_0_and_deviation_1():
    for tiles in (made(recipe(3), (96, 48))[0][name] for name in ("visible", "infrared")):
        assert abs(tiles.mean(axis=(2, 3))).max() < 1e-5
        assert abs(tiles.std(axis=(2, 3)) - 1).max() < 1e-5


def test_grey_is_drawn_for_visible_images_and_moves_nothing_else():
    size = (96, 48)
    colour, grey, some = (made(recipe(2, odds), size, rows=60)[0] for odds in (0.0, 1.0, 0.66))
    for batch, share in ((colour, 0.0), (grey, 1.0), (some, 0.66)):
        without = np.ptp(batch["visible"], axis=-1).max(axis=(1, 2, 3)) == 0
        assert abs(without.mean() - share) < 0.15
        np.testing.assert_array_equal(batch["tile_order"], colour["tile_order"])
        np.testing.assert_array_equal(batch["infrared"], colour["infrared"])


@pytest.mark.parametrize("grid", GRIDS)
def test_every_order_occurs_about_as_often(grid):
    classes = GRIDS[grid][1]
    wanted, rows = recipe(grid), 20 * classes
    batch, _ = made(wanted, (48, 24), rows=rows)
    counts = np.bincount(batch["tile_order"], minlength=classes) / (2 * rows / classes)
    assert len(counts) == classes and counts.min() > 0.4 and counts.max() < 1.7
    half, other = np.split(batch["tile_order"], 2)
    assert abs((half == other).mean() - 1 / classes) < 0.03
    shared, _ = made(recipe(grid, shared=True), (48, 24))
    np.testing.assert_array_equal(*np.split(shared["tile_order"], 2))
