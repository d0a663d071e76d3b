import numpy as np
import pytest

from mmgl_tf.pipelines.batches.identity_sampling import (
    class_labels,
    identity_plan,
    missing_modality,
    steps_in_identity_epoch,
)
from mmgl_tf.pipelines.random_plan import Stream, orders, uniforms

# Neither sorted nor gapless; 4 has no infrared images, 9 no visible ones.
VISIBLE = np.array([7, 4, 12, 7, 5, 5, 5, 12, 3, 4, 7])
INFRARED = np.array([12, 3, 3, 7, 9, 5, 12, 3])


def plan(identities=3, images=2, seed=1, epoch=0, steps=50):
    return identity_plan(VISIBLE, INFRARED, identities, images, seed, epoch, steps)


def test_the_data_sets_have_the_published_steps():
    assert steps_in_identity_epoch(22258, 11909, 8, 4) == 696
    assert steps_in_identity_epoch(2060, 2060, 8, 4) == 65
    assert steps_in_identity_epoch(31, 64, 8, 4) == 3
    assert steps_in_identity_epoch(10, 20, 8, 4) == 1


def test_classes_are_ranks():
    assert class_labels([30, 2, 11, 2, 30]) == {2: 0, 11: 1, 30: 2}
    assert class_labels(np.array([5, 4])) == {4: 0, 5: 1}
    with pytest.raises(ValueError, match="without identity"):
        class_labels([3, None, 4])


def test_identities_of_one_modality_are_named():
    without_visible, without_infrared = missing_modality(VISIBLE, INFRARED)
    assert without_visible.tolist() == [9]
    assert without_infrared.tolist() == [4]


def slow_plan(identities, images, seed, epoch, steps):
    """As `identity_plan`, one image at a time."""
    drawable = sorted(set(VISIBLE.tolist()) & set(INFRARED.tolist()))
    result = []
    for known, stream in ((VISIBLE, Stream.VISIBLE_OF_IDENTITY), (INFRARED, Stream.INFRARED_OF_IDENTITY)):
        rows = []
        for step in range(steps):
            order = orders(seed, Stream.IDENTITY_ORDER, epoch, [step], len(drawable))[0]
            draws = uniforms(seed, stream, epoch, [step], identities * images)[0]
            row = []
            for place, draw in enumerate(draws):
                identity = drawable[order[place // images]]
                choices = [index for index, other in enumerate(known) if other == identity]
                row.append(choices[int(draw * len(choices))])
            rows.append(row)
        result.append(rows)
    return result


@pytest.mark.parametrize(("identities", "images"), [(3, 2), (1, 5), (4, 1)])
def test_the_plan_equals_one_made_image_by_image(identities, images):
    visible, infrared, _ = plan(identities, images, seed=5, epoch=2, steps=7)
    slow = slow_plan(identities, images, 5, 2, 7)
    np.testing.assert_array_equal(visible, slow[0])
    np.testing.assert_array_equal(infrared, slow[1])


def test_a_batch_shows_blocks_of_the_same_identities_in_both_modalities():
    visible, infrared, labels = plan()
    assert visible.shape == infrared.shape == labels.shape == (50, 6)
    assert visible.dtype == infrared.dtype == labels.dtype == np.int64
    np.testing.assert_array_equal(VISIBLE[visible], labels)
    np.testing.assert_array_equal(INFRARED[infrared], labels)
    blocks = labels.reshape(50, 3, 2)
    assert (blocks == blocks[:, :, :1]).all()
    assert all(len(set(row)) == 3 for row in blocks[:, :, 0].tolist())
    assert set(labels.reshape(-1).tolist()) == {3, 5, 7, 12}


def test_this_plan_is_for_ever():
    """A run that is resumed by a later version must meet the same images."""
    visible, infrared, labels = plan(steps=2)
    assert visible.tolist() == GOLDEN[0]
    assert infrared.tolist() == GOLDEN[1]
    assert labels.tolist() == GOLDEN[2]


GOLDEN = (
    [[8, 8, 6, 5, 7, 7], [4, 5, 7, 7, 8, 8]],
    [[2, 7, 5, 5, 0, 0], [5, 5, 6, 6, 2, 1]],
    [[3, 3, 5, 5, 12, 12], [5, 5, 12, 12, 3, 3]],
)


def chi_square(counts):
    expected = counts.sum() / len(counts)
    return ((counts - expected) ** 2 / expected).sum()


def test_identities_and_images_are_drawn_uniformly_and_apart():
    identities = np.repeat(np.arange(10), 6)
    visible, infrared, labels = identity_plan(identities, identities, 4, 3, 0, 0, 3000)
    for place in range(4):
        # 9 degrees of freedom: 27.9 is exceeded once in a thousand times.
        assert chi_square(np.bincount(labels[:, 3 * place], minlength=10)) < 27.9
    for drawn in (visible, infrared):
        # 59 degrees of freedom: 98.3. Less than that as identities are drawn without replacement.
        assert chi_square(np.bincount(drawn.reshape(-1), minlength=60)) < 98.3
    inside = (visible % 6).reshape(-1), (infrared % 6).reshape(-1)
    together = np.bincount(inside[0] * 6 + inside[1], minlength=36)
    assert chi_square(together) < 66.6  # 35 degrees of freedom: visible and infrared are independent
    both = (visible % 6)[:, 0] * 6 + (visible % 6)[:, 1]
    assert chi_square(np.bincount(both, minlength=36)) < 66.6  # so are the images of a block: they repeat


def test_plans_depend_on_seed_epoch_and_step_alone():
    whole = plan(steps=20)
    for one, other in zip(whole, plan(steps=8), strict=True):
        np.testing.assert_array_equal(one[:8], other)
    for changed in (plan(steps=20, seed=2), plan(steps=20, epoch=1)):
        for one, other in zip(whole, changed, strict=True):
            assert (one != other).mean() > 0.3
    assert (whole[2][1:] != whole[2][:-1]).mean() > 0.3


def test_bad_requests_are_refused():
    with pytest.raises(ValueError, match=r"needs 5 identities .* only 4 \(2 more"):
        plan(identities=5)
    for identities, images in ((0, 2), (2, 0)):
        with pytest.raises(ValueError, match=f"{identities} identities with {images} images"):
            plan(identities, images)
        with pytest.raises(ValueError, match=f"{identities} identities with {images} images"):
            steps_in_identity_epoch(10, 10, identities, images)
