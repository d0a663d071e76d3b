import math

import numpy as np
import pytest
from PIL import Image

from mmgl_tf.pipelines.augmentation.operations.resized_crop import CROP_TRIES, ResizedCrop, plan_resized_crop
from tests.pipelines.augmentation.pictures import act, drawn, textured

SCALE, RATIO = (0.35, 1.0), (0.4, 0.65)


def torchvisions_rule(numbers, scale, ratio, height, width):
    """One image, written from the documentation of `RandomResizedCrop`."""
    numbers = iter(numbers)
    found = None
    for _ in range(CROP_TRIES):
        area = height * width * (scale[0] + next(numbers) * (scale[1] - scale[0]))
        low, high = math.log(ratio[0]), math.log(ratio[1])
        shape = math.exp(low + next(numbers) * (high - low))
        columns, rows = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if found is None and 0 < columns <= width and 0 < rows <= height:
            found = rows, columns
    down, right = numbers
    if found:
        rows, columns = found
        return int(down * (height - rows + 1)), int(right * (width - columns + 1)), rows, columns
    rows, columns = height, width
    if width / height < ratio[0]:
        rows = round(width / ratio[0])
    elif width / height > ratio[1]:
        columns = round(height * ratio[1])
    return (height - rows) // 2, (width - columns) // 2, rows, columns


@pytest.mark.parametrize("size", [(288, 144), (96, 48), (288, 40), (60, 200), (101, 43)])
@pytest.mark.parametrize("scale", [SCALE, (0.1, 0.35), (1.0, 1.0)])
def test_boxes_are_torchvisions(size, scale):
    draws = drawn(2000, ResizedCrop.draws)
    boxes = plan_resized_crop(draws, scale, RATIO, *size)
    for box, numbers in zip(boxes.tolist(), draws.tolist(), strict=True):
        assert tuple(box) == torchvisions_rule(numbers, scale, RATIO, *size)


@pytest.mark.parametrize("size", [(288, 144), (96, 48), (288, 40), (60, 200), (3, 2)])
def test_boxes_lie_within_the_image(size):
    top, left, height, width = plan_resized_crop(drawn(20000, 22), SCALE, RATIO, *size).T
    assert top.min() >= 0 and left.min() >= 0 and height.min() > 0 and width.min() > 0
    assert (top + height).max() <= size[0] and (left + width).max() <= size[1]


def test_boxes_have_the_areas_and_shapes_asked_for():
    top, left, height, width = plan_resized_crop(drawn(20000, 22), (0.1, 0.5), RATIO, 600, 300).T
    share, shape = height * width / 180000, width / height
    assert 0.098 < share.min() < 0.102 and 0.49 < share.max() < 0.51
    assert abs(np.histogram(share, 4, (0.1, 0.5))[0] / 20000 - 0.25).max() < 0.015
    assert 0.39 < shape.min() < 0.402 and 0.645 < shape.max() < 0.66
    # Uniform in the logarithm: half of them below the geometric mean.
    assert abs((shape < math.sqrt(0.4 * 0.65)).mean() - 0.5) < 0.015
    for place, room in ((top, 600 - height), (left, 300 - width)):
        assert abs((place / np.maximum(room, 1)).mean() - 0.5) < 0.01
        assert (place == 0).any() and (place == room).any()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("view", [(288, 144), (128, 64)])
def test_the_result_is_the_box_resized_by_pillow_to_one_level(view, channels):
    image = textured(288, 144, channels)
    operation = ResizedCrop(0.1, 1.0, *RATIO)
    boxes, _ = operation.plan(drawn(6, operation.draws), (288, 144), view)
    for row, (top, left, height, width) in enumerate(boxes.tolist()):
        picture = Image.fromarray(image.repeat(3 // channels, axis=2))
        picture = picture.crop((left, top, left + width, top + height))
        expected = np.asarray(picture.resize(view[::-1], Image.Resampling.BILINEAR)).astype(int)
        result = act(operation, image, row, 6, view)
        assert result.shape == (*view, channels)
        difference = abs(result - expected)
        assert difference.max() <= 1 and difference.mean() < 0.25


def test_the_whole_image_at_its_size_stays_as_it_is():
    image = textured(96, 48)
    np.testing.assert_array_equal(act(ResizedCrop(1.0, 1.0, 0.5, 0.5), image), image)


@pytest.mark.parametrize("settings", [(0.0, 1.0, 0.4, 0.65), (0.5, 0.4, 0.4, 0.65), (0.3, 1.0, 0.7, 0.65)])
def test_empty_ranges_are_refused(settings):
    with pytest.raises(ValueError, match="0 < min <= max"):
        ResizedCrop(*settings)
