import numpy as np
import pytest

from mmgl_tf.pipelines.augmentation.operations.pad_crop_flip import (
    CropPlan,
    PadCropFlip,
    crop_flip,
    plan_crop_flip,
)
from mmgl_tf.pipelines.augmentation.working_memory import WorkingMemory
from mmgl_tf.pipelines.random_plan import Stream, uniforms


def drawn(number, count):
    return uniforms(3, Stream.VISIBLE_IMAGES, 0, np.arange(number), count)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("pad", "value"), [(0, 0), (2, 0), (2, 127), (10, 0), (10, 127)])
def test_a_crop_is_padding_then_slicing_then_flipping(pad, value, channels):
    image = np.random.default_rng(0).integers(1, 256, (12, 7, channels), np.uint8)
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), constant_values=value)
    for down in range(2 * pad + 1):
        for right in range(2 * pad + 1):
            for flip in (False, True):
                plan = CropPlan(np.array([0, down]), np.array([0, right]), np.array([False, flip]))
                out = np.full_like(image, 99)
                crop_flip(image, plan, 1, pad, out, value)
                expected = padded[down : down + 12, right : right + 7]
                np.testing.assert_array_equal(out, expected[:, ::-1] if flip else expected)


def test_the_operation_pads_with_its_value_and_black_by_default():
    image = np.full((12, 8, 1), 200, np.uint8)
    memory = WorkingMemory()
    for operation, value in ((PadCropFlip(3, 0.0), 0), (PadCropFlip(3, 0.0, 127), 127)):
        plan = operation.plan(np.full((1, 3), 1e-6), (12, 8), (12, 8))  # the upper left corner
        out = operation.act(image, plan, 0, memory)
        assert (out[:3] == value).all() and (out[:, :3] == value).all() and (out[3:, 3:] == 200).all()


def test_crops_are_uniform_and_flips_follow_their_probability():
    plan = plan_crop_flip(drawn(21000, 3), 10, 0.3)
    for places in (plan.down, plan.right):
        counts = np.bincount(places)
        assert len(counts) == 21
        assert abs(counts / 1000 - 1).max() < 0.12
    assert abs(np.corrcoef(plan.down, plan.right)[0, 1]) < 0.03
    assert abs(plan.flip.mean() - 0.3) < 0.01
    assert not plan_crop_flip(drawn(100, 3), 0, 0.0).flip.any()
    assert plan_crop_flip(drawn(100, 3), 0, 1.0).flip.all()
