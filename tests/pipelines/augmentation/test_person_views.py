import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest

from mmgl_tf.flags.methods.shared.views import AlikeViews, UnlikeViews
from mmgl_tf.flags.methods.shared.views import Views as CommonViews
from mmgl_tf.pipelines.augmentation.operations.colour_jitter import ColourJitter
from mmgl_tf.pipelines.augmentation.operations.flip import Flip
from mmgl_tf.pipelines.augmentation.operations.gaussian_blur import GaussianBlur
from mmgl_tf.pipelines.augmentation.operations.random_grey import RandomGrey
from mmgl_tf.pipelines.augmentation.operations.resized_crop import ResizedCrop
from mmgl_tf.pipelines.augmentation.operations.solarise import Solarise
from mmgl_tf.pipelines.augmentation.person_views import crop_of, person_chain, person_views
from mmgl_tf.pipelines.augmentation.working_memory import WorkingMemory
from mmgl_tf.pipelines.batches.build import held_out_dataset
from mmgl_tf.pipelines.batches.plans import image_plan
from mmgl_tf.pipelines.batches.recipe import HeldOut, Recipe, View, each_modality
from mmgl_tf.pipelines.batches.training_batches import TrainingBatches
from mmgl_tf.pipelines.decode import MEAN, STD
from mmgl_tf.pipelines.records import INFRARED, VISIBLE
from tests.pipelines.augmentation.pictures import drawn, textured
from tests.pipelines.fake_store import BATCH, HEIGHT, WIDTH, FakeStore, assert_same, stores


@dataclass(frozen=True)
class Views(UnlikeViews, AlikeViews, CommonViews):
    pass


NAMES = {"visible", "visible_2", "infrared", "infrared_2"}
OPERATIONS = (ResizedCrop, Flip, ColourJitter, RandomGrey, GaussianBlur, Solarise)


def recipe(asymmetric=False, **settings):
    return Recipe(each_modality(person_views(replace(Views(), **settings), asymmetric)))


def batches(wanted, pair=None, seed=0, threads=1):
    pair = pair or stores()
    return TrainingBatches(pair, wanted, image_plan(pair, BATCH, seed), threads)


def test_views_are_made_of_the_settings():
    visible, infrared = person_views(Views(), False)
    assert visible[0] == visible[1] == (
        ResizedCrop(0.35, 1.0, 0.4, 0.65),
        Flip(0.5),
        ColourJitter(0.8, 0.4, 0.4, 0.4, 0.1),
        RandomGrey(0.2),
        GaussianBlur(0.5, 0.1, 2.0),
        Solarise(0.0),
    )  # fmt: skip
    assert infrared[0] == infrared[1]
    assert infrared[0][2:4] == (ColourJitter(0.8, 0.4, 0.4, 0.0, 0.0), RandomGrey(0.0))
    for chains in person_views(Views(), True):
        assert [chain[-2:] for chain in chains] == [
            (GaussianBlur(1.0), Solarise(0.0)),
            (GaussianBlur(0.1), Solarise(0.2)),
        ]
        assert all(tuple(map(type, chain)) == OPERATIONS for chain in chains)


@pytest.mark.parametrize("asymmetric", [False, True])
def test_every_setting_has_an_effect_exactly_where_it_is_read(asymmetric):
    read_by_the_others = {"view_blur"} if asymmetric else {
        "view_blur_1", "view_blur_2", "view_solarise_1", "view_solarise_2"
    }  # fmt: skip
    of_colour = {"view_saturation", "view_hue", "view_grey"}
    for name, value in vars(Views()).items():
        other = value * 0.9 + 0.03
        visible, infrared = person_views(replace(Views(), **{name: other}), asymmetric)
        before = person_views(Views(), asymmetric)
        assert (visible != before[VISIBLE]) == (name not in read_by_the_others), name
        assert (infrared != before[INFRARED]) == (name not in read_by_the_others | of_colour), name


def test_infrared_images_stay_grey_and_visible_ones_do_not():
    batch = batches(recipe(view_grey=0.0))(0)
    for name in NAMES:
        pixels = batch[name] * np.float32(STD) + np.float32(MEAN)
        assert (np.ptp(pixels, axis=-1).max(axis=(1, 2)) < 1e-5).all() == name.startswith("infrared")
        assert pixels.min() > -1e-6 and pixels.max() < 1 + 1e-6


def test_a_visible_image_without_colours_has_three_equal_channels():
    batch = batches(recipe(view_grey=1.0))(0)
    for name in NAMES:
        pixels = batch[name] * np.float32(STD) + np.float32(MEAN)
        assert np.ptp(pixels, axis=-1).max() < 1e-5


@pytest.mark.parametrize("asymmetric", [False, True])
def test_a_batch_is_a_function_of_seed_epoch_and_place(asymmetric):
    wanted = recipe(asymmetric)
    made = batches(wanted)
    whole = made(6)
    assert whole.keys() == NAMES
    made(2)  # what was made before does not matter
    assert_same([made(6)], [whole])
    assert_same([batches(wanted, threads=3)(6)], [whole])
    part = batches(wanted)(6, range(1, 3))
    for name, value in whole.items():
        np.testing.assert_array_equal(part[name], value[1:3])
    epoch = image_plan(stores(), BATCH, 0).steps_per_epoch
    for other in (batches(wanted, seed=1)(6), made(6 + epoch)):
        assert all((other[name] != whole[name]).any(axis=(1, 2, 3)).all() for name in NAMES)


def test_the_same_image_is_changed_anew_in_each_epoch_and_in_each_view():
    pair = [FakeStore(4, seed=5), FakeStore(4, channels=1, seed=6)]
    for store in pair:
        store.images[:] = store.images[:1]
    made = batches(recipe(), pair)
    shown = [made(step)[name] for step in range(3) for name in ("infrared", "infrared_2")]
    images = np.concatenate(shown).reshape(len(shown) * BATCH, -1)
    assert len(np.unique(images, axis=0)) == len(images)


def held_out(pair, limit=0, seed=0, threads=1):
    wanted = HeldOut(recipe(True), whole_batches=False)
    dataset = held_out_dataset(pair, wanted, BATCH, seed, limit, threads)
    return [{key: value.numpy() for key, value in batch.items()} for batch in dataset]


def test_held_out_views_are_a_function_of_seed_and_image():
    def by_index(made):
        return {
            (half, int(batch["index"][half * BATCH + row])): (batch[name][row], batch[name + "_2"][row])
            for batch in made
            for half, name in enumerate(("visible", "infrared"))
            for row in range(BATCH)
        }

    made = held_out(stores())
    assert_same(held_out(stores(), threads=3), made)
    whole, part, other = map(by_index, (made, held_out(stores(), limit=5), held_out(stores(), seed=1)))
    compared = [key for key in part if key[1] >= 0]
    assert len(compared) == 10
    for key in compared:
        for view in (0, 1):
            np.testing.assert_array_equal(part[key][view], whole[key][view])
            assert (part[key][view] != other[key][view]).any()


def test_other_odds_move_no_draw():
    """Solarising nothing or everything: what is bright is inverted, all else is as it was."""
    never, always = (
        batches(recipe(True, view_solarise_2=odds, view_solarise_1=0.0))(3) for odds in (0.0, 1.0)
    )
    for name in ("visible", "infrared"):
        np.testing.assert_array_equal(never[name], always[name])
        levels, inverted = (
            np.rint((made[name + "_2"] * np.float32(STD) + np.float32(MEAN)) * 255)
            for made in (never, always)
        )
        np.testing.assert_array_equal(inverted, np.where(levels < 128, levels, 255 - levels))
        assert (levels >= 128).any()


def test_smaller_views_show_a_smaller_part():
    views = Views()
    small = person_chain(views, VISIBLE, crop_of(views, 0.1, 0.35), views.view_blur)
    assert small[0] == ResizedCrop(0.1, 0.35, 0.4, 0.65) and crop_of(views) == ResizedCrop(
        0.35, 1.0, 0.4, 0.65
    )
    assert small[1:] == person_views(views, False)[VISIBLE][0][1:]
    view = View("visible_3", VISIBLE, small, HEIGHT // 2, WIDTH // 2, 2)
    batch = batches(Recipe((*recipe().views, view)))(0)
    assert batch["visible_3"].shape == (BATCH, HEIGHT // 2, WIDTH // 2, 3)
    assert_same([{name: batch[name] for name in NAMES}], [batches(recipe())(0)])


@pytest.mark.parametrize(
    "operation", person_views(Views(), True)[VISIBLE][1], ids=lambda one: type(one).__name__
)
def test_nothing_is_done_pixel_by_pixel_in_python(operation):
    """Four times the pixels, or four times the images planned, take as many lines of Python."""
    certain = replace(operation, probability=1.0) if hasattr(operation, "probability") else operation

    def lines(height, number):
        size, found = (height, height // 2), []

        def trace(frame, event, argument):
            found.append(event)
            return trace

        draws = drawn(number, certain.draws)
        image = textured(*size)

        def made():
            certain.act(image, certain.plan(draws, size, size), 0, WorkingMemory())

        made()  # tables are made once
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            made()
        finally:
            sys.settrace(before)
        return len(found)

    assert lines(192, 8) == lines(96, 8) == lines(96, 32) < 1000
