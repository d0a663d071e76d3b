"""What a recipe may ask for, and that the engine gives it: views, tiles, colour, one modality, labels."""

import numpy as np
import pytest

from mmgl_tf.flags.config import options_type
from mmgl_tf.pipelines.augmentation.operations.augmix import AugMix
from mmgl_tf.pipelines.augmentation.operations.erase import Erase
from mmgl_tf.pipelines.augmentation.operations.pad_crop_flip import PadCropFlip
from mmgl_tf.pipelines.batches.build import training_dataset
from mmgl_tf.pipelines.batches.data_wait import DataWait
from mmgl_tf.pipelines.batches.held_out_batches import HeldOutBatches
from mmgl_tf.pipelines.batches.plans import image_plan
from mmgl_tf.pipelines.batches.recipe import (
    HeldOut,
    LabColour,
    Labels,
    Permutation,
    Recipe,
    Rows,
    TileOrder,
    View,
    each_modality,
    mmgl_recipe,
)
from mmgl_tf.pipelines.batches.sampling import pretraining_plan
from mmgl_tf.pipelines.batches.shards import Shards
from mmgl_tf.pipelines.batches.training_batches import TrainingBatches
from mmgl_tf.pipelines.decode import MEAN, STD, normalise
from mmgl_tf.pipelines.random_plan import Stream, view_stream
from mmgl_tf.pipelines.records import INFRARED, VISIBLE
from tests.pipelines.augmentation.test_lab import by_definition as lab_by_definition
from tests.pipelines.fake_store import BATCH, HEIGHT, STRIPES, WIDTH, FakeStore, stores

Augmentation = options_type("mmgl")

CROP = (PadCropFlip(6, 0.5),)
TWO_VIEWS = Recipe(each_modality([[CROP, CROP], [CROP, CROP]]))
ORDERS = ((0, 1, 2, 3, 4, 5, 6, 7, 8), (8, 7, 6, 5, 4, 3, 2, 1, 0), (3, 0, 7, 1, 8, 2, 5, 6, 4))


def batches(recipe, pair=None, seed=0, threads=1, **plan):
    pair = pair or stores()
    return TrainingBatches(
        pair, recipe, image_plan(pair, BATCH, seed, modalities=recipe.modalities, **plan), threads
    )


def noisy_stores():
    """Each pixel is its own."""
    pair = FakeStore(22), FakeStore(9, channels=1, seed=1)
    for seed, store in enumerate(pair):
        store.images = np.random.default_rng(seed).integers(0, 256, store.images.shape, np.uint8)
    return pair


class Halved(PadCropFlip):
    """Half the size, for a view of another size."""

    draws = 1

    def output_size(self, source, view):
        return view

    def plan(self, draws, source, view):
        return view

    def act(self, image, plan, row, memory):
        height, width = plan
        return np.ascontiguousarray(image[: 2 * height : 2, : 2 * width : 2])


def test_streams_of_views_and_of_all_else_never_meet():
    streams = [view_stream(modality, number) for modality in (0, 1) for number in range(50)]
    assert streams[0] == Stream.VISIBLE_IMAGES and streams[50] == Stream.INFRARED_IMAGES
    assert len({*streams, *map(int, Stream)}) == 100 + len(Stream) - 2
    assert view_stream(1, (1 << 16) - 1) < 2**32
    with pytest.raises(ValueError, match="stream is -1"):
        view_stream(0, -1)


def test_two_views_show_the_same_images_with_draws_of_their_own():
    batch = batches(TWO_VIEWS)(3)
    assert batch.keys() == {"visible", "infrared", "visible_2", "infrared_2"}
    for one, other in (("visible", "visible_2"), ("infrared", "infrared_2"), ("visible", "infrared_2")):
        assert (batch[one] != batch[other]).any(axis=(1, 2, 3)).all()
    still = batches(Recipe(each_modality([[(), ()], [(), ()]])))(3)
    np.testing.assert_array_equal(still["visible"], still["visible_2"])
    np.testing.assert_array_equal(still["infrared"], still["infrared_2"])


def test_a_further_view_moves_no_draw_of_the_first():
    single = batches(Recipe(each_modality([[CROP], [CROP]])))(3)
    for name in ("visible", "infrared"):
        np.testing.assert_array_equal(batches(TWO_VIEWS)(3)[name], single[name])
    # Nor does another stream number move anything but its own view.
    views = (*TWO_VIEWS.views[:1], View("visible_2", VISIBLE, CROP, stream=5), *TWO_VIEWS.views[2:])
    moved = batches(Recipe(views))(3)
    changed = {name for name, value in batches(TWO_VIEWS)(3).items() if (value != moved[name]).any()}
    assert changed == {"visible_2"}


def test_views_may_have_another_size():
    small = (Halved(0, 0.0),)
    recipe = Recipe(
        (
            View("visible", VISIBLE, CROP),
            View("infrared", INFRARED, CROP),
            View("visible_2", VISIBLE, small, HEIGHT // 2, WIDTH // 2, 1),
        )
    )
    made, pair = batches(recipe), stores()
    batch = made(0)
    assert batch["visible_2"].shape == (BATCH, HEIGHT // 2, WIDTH // 2, 3)
    expected = normalise(pair[0].images[made.chosen(0)[VISIBLE]][:, ::2, ::2]).numpy()
    np.testing.assert_array_equal(batch["visible_2"], expected)
    with pytest.raises(ValueError, match=r"come out of a chain as \(48, 24\), but its view is \(24, 12\)"):
        batches(Recipe((View("visible", VISIBLE, CROP, 24, 12),)))


@pytest.mark.parametrize("threads", [2, 3])
def test_views_do_not_depend_on_threads_or_on_who_makes_them(threads):
    recipe = Recipe(each_modality([[CROP, (*CROP, AugMix(3.0, 3, 0))]] * 2), (Permutation(STRIPES), Labels()))
    identities = np.arange(22) % 5, np.arange(9) % 4
    whole = batches(recipe, identities=identities)(6)
    part = batches(recipe, threads=threads, identities=identities)(6, range(1, 3))
    for name, value in whole.items():
        rows = [1, 2] if len(value) == BATCH else [1, 2, BATCH + 1, BATCH + 2]
        np.testing.assert_array_equal(part[name], value[rows])


def test_an_image_is_read_once_for_all_of_its_views():
    class Counted(FakeStore):
        reads = 0

        def __getitem__(self, index):
            self.reads += 1
            return super().__getitem__(index)

    pair = Counted(22), Counted(9)
    made = batches(TWO_VIEWS, pair)
    before = [store.reads for store in pair]
    made(0)
    assert [store.reads - start for store, start in zip(pair, before, strict=True)] == [BATCH, BATCH]


def test_a_dataset_of_views_can_be_timed_and_cut_into_parts():
    pair, wait = stores(), DataWait()
    plan = image_plan(pair, BATCH, 0)
    dataset = training_dataset(pair, TWO_VIEWS, plan, 1, 3, 2, wait, Shards(0, 2, 2))
    assert dataset.cardinality() == 4
    assert {spec.shape.as_list()[0] for spec in dataset.element_spec.values()} == {BATCH // 2}
    whole, iterator = batches(TWO_VIEWS)(1), iter(dataset)
    wait.requested()
    parts = [next(iterator), next(iterator)]
    assert wait.batches == 1
    for name, value in whole.items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), value)


def test_one_modality_alone():
    pair = FakeStore(22), FakeStore(0)
    recipe = Recipe((View("visible", VISIBLE, CROP),), (Labels(),))
    batch = batches(recipe, pair, identities=(np.arange(22) * 10, []))(0)
    assert batch.keys() == {"visible", "labels"} and len(batch["labels"]) == BATCH
    np.testing.assert_array_equal(batch["labels"], pretraining_plan(22, None, BATCH, 0, 0)[0][0])
    with pytest.raises(ValueError, match="There are no infrared images"):
        batches(TWO_VIEWS, pair)
    with pytest.raises(ValueError, match="the plan knows no classes"):
        batches(recipe, pair)


def tiles(shared=False, share=0.875, permutations=ORDERS, grid=(3, 3), chain=(), **more):
    order = TileOrder(permutations, *grid, share, shared, **more)
    return Recipe(each_modality([[chain], [chain]]), (order,))


def test_tiles_come_from_their_cells_in_the_order_of_the_target():
    pair = noisy_stores()
    made = batches(tiles(share=0.76), pair)  # 12.16 x 6.08 pixels
    offsets = set()
    for step in range(5):
        batch, chosen = made(step), made.chosen(step)
        assert batch.keys() == {"visible", "infrared", "tile_order"}
        assert batch["visible"].shape == (BATCH, 9, 12, 6, 3) and batch["tile_order"].dtype == np.int32
        for modality, name in enumerate(("visible", "infrared")):
            for row, index in enumerate(chosen[modality].tolist()):
                order = ORDERS[batch["tile_order"][modality * BATCH + row]]
                image = pair[modality][index].astype(np.float64)
                for slot, tile in enumerate(order):
                    offsets.add(place_of(batch[name][row, slot], image, tile))
    downs, rights = ({offset[axis] for offset in offsets} for axis in (0, 1))
    assert downs == set(range(5)) and rights == set(range(3))  # cells of 16 x 8


def place_of(found, image, tile):
    """Where in its cell a normalised tile was cut; fails unless it is one of the cell's."""
    column, row = divmod(tile, 3)
    for down in range(5):
        for right in range(3):
            cut = image[row * 16 + down :, column * 8 + right :][:12, :6]
            normalised = (cut - cut.mean(axis=(0, 1))) / np.maximum(cut.std(axis=(0, 1)), 1.0)
            if abs(normalised - found).max() < 1e-4:
                return down, right
    raise AssertionError(f"tile {tile} is not from its cell")


def test_pairs_share_their_order_of_tiles_only_if_told_to():
    for shared in (True, False):
        orders = [batches(tiles(shared))(step)["tile_order"].reshape(2, -1) for step in range(6)]
        assert all((order[0] == order[1]).all() for order in orders) == shared
        assert {int(number) for order in orders for number in order.ravel()} == {0, 1, 2}


def test_tiles_are_a_share_of_any_cell():
    for grid, share, tile in (((3, 3), 0.875, (14, 7)), ((2, 2), 0.875, (21, 10)), ((3, 3), 1.0, (16, 8))):
        orders = (tuple(range(grid[0] * grid[1])),)
        made = batches(tiles(grid=grid, share=share, permutations=orders, name="puzzle"))
        shape, _ = made.specs(BATCH)["visible"]
        assert shape == (BATCH, grid[0] * grid[1], *tile, 3)
        assert "puzzle" in made.specs(BATCH) and "puzzle" in made(0)


def test_a_flat_tile_becomes_zero():
    pair = FakeStore(22), FakeStore(9, channels=1)
    for store in pair:
        store.images[:] = 77
    batch = batches(tiles(), pair)(0)
    assert not batch["visible"].any() and not batch["infrared"].any()


def test_bad_tiles_are_refused():
    for recipe, message in (
        (tiles(grid=(5, 3)), "5 x 3 cells does not divide an image of 48 x 24"),
        (tiles(share=1.1), r"Tiles of 1.1 of a cell's .* 16 x 8 pixels: expected a share in \(0, 1\]"),
        (tiles(share=0.1), "leaves a pixel at least"),
        (tiles(permutations=((0, 1, 2),)), "permutation of 0 to 8"),
        (tiles(permutations=()), "at least"),
        (tiles(chain=(Erase(0.5, 0.1, 0.2, 0.3),)), "is cut into tiles"),
    ):
        with pytest.raises(ValueError, match=message):
            batches(recipe)


def test_lightness_and_colour_of_every_fourth_pixel():
    pair = noisy_stores()
    recipe = Recipe((View("visible", VISIBLE, CROP),), (LabColour(),))
    batch, plain = batches(recipe, pair)(0), batches(Recipe(recipe.views), pair)(0)
    assert batch.keys() == {"visible", "ab"} and batch["ab"].shape == (BATCH, HEIGHT // 4, WIDTH // 4, 2)
    rgb = plain["visible"] * np.float32(STD) + np.float32(MEAN)  # the same crop, in 0..1
    lab = np.stack([lab_by_definition(image * 255) for image in rgb])
    np.testing.assert_allclose(batch["ab"], lab[:, ::4, ::4, 1:], atol=1e-2)
    lightness = batch["visible"] * np.float32(STD) + np.float32(MEAN)
    np.testing.assert_allclose(lightness, np.repeat(lab[..., :1], 3, axis=-1) / 100, atol=1e-4)


def test_nonsense_is_refused():
    view = View("visible", VISIBLE)
    for views, targets, message in (
        ((), (), "without views"),
        ((view, View("visible", VISIBLE, stream=1)), (), "shares its name"),
        ((view, View("visible_2", VISIBLE)), (), "shares its stream of its modality"),
        ((view,), (Permutation(6), LabColour()), "at most one such target"),
    ):
        with pytest.raises(ValueError, match=message):
            Recipe(views, targets)


def test_recipes_are_data():
    assert mmgl_recipe(Augmentation(), 6) == mmgl_recipe(Augmentation(), 6)
    assert mmgl_recipe(Augmentation(), 6) != mmgl_recipe(Augmentation(pad_pixels=9), 6)
    assert len({mmgl_recipe(Augmentation(), stripes) for stripes in (3, 6, 6)}) == 2


@pytest.mark.parametrize("chains", [[[()], [()]], [[()], []]], ids=["both", "visible"])
def test_rows_say_where_an_image_stands_in_the_global_batch(chains):
    recipe = Recipe(each_modality(chains), (Rows(),))
    number = BATCH * len(recipe.modalities)
    made = batches(recipe)
    assert made.specs(BATCH)["rows"] == ((number,), np.int32)
    rows = made(3)["rows"]
    assert rows.dtype == np.int32
    np.testing.assert_array_equal(rows, np.arange(number))
    some = range(1, 3)
    expected = np.concatenate([np.array(some) + m * BATCH for m in range(len(recipe.modalities))])
    np.testing.assert_array_equal(made(3, some)["rows"], expected)


def test_rows_of_held_out_images_are_refused():
    held_out = HeldOut(Recipe(each_modality([[()], [()]]), (Rows(),)))
    with pytest.raises(ValueError, match="rows of held-out images"):
        HeldOutBatches(stores(), held_out, BATCH, 0)
