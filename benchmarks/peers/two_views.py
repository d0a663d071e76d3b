"""The peer of the benchmark's two-view batches: what the methods' authors write, a `DataLoader` with Pillow.

Where they call torchvision's transforms on Pillow images, the same Pillow, NumPy and PyTorch calls stand here
directly, so the peer is, if anything, favoured; the blur is Pillow's three boxes, as in their code.
"""

import itertools
import math
import random

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from benchmarks.peers.pipeline import load
from mmgl_tf.pipelines.decode import MEAN, STD

_ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


def resized_crop(picture, views):
    """A random part at the size of the whole, as `RandomResizedCrop`."""
    width, height = picture.size
    for _ in range(10):
        area = width * height * random.uniform(views.view_min_scale, views.view_max_scale)
        shape = math.exp(random.uniform(math.log(views.view_min_ratio), math.log(views.view_max_ratio)))
        columns, rows = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if columns <= width and rows <= height:
            left, top = random.randint(0, width - columns), random.randint(0, height - rows)
            part = picture.crop((left, top, left + columns, top + rows))
            return part.resize((width, height), Image.Resampling.BILINEAR)
    return picture


def turned(picture, turn):
    """The hue turned by so many full turns, as torchvision does it."""
    hue, saturation, value = picture.convert("HSV").split()
    moved = np.array(hue, np.uint8) + np.array(int(turn * 255)).astype(np.uint8)
    return Image.merge("HSV", (Image.fromarray(moved), saturation, value)).convert("RGB")


def jitter(picture, views, colour):
    """As `ColorJitter`; without colour, brightness and contrast only."""
    strengths = (views.view_brightness, views.view_contrast, views.view_saturation)
    for change in random.sample(range(4 if colour else 2), 4 if colour else 2):
        if change == 3:
            picture = turned(picture, random.uniform(-views.view_hue, views.view_hue))
        else:
            factor = random.uniform(max(0.0, 1 - strengths[change]), 1 + strengths[change])
            picture = _ENHANCERS[change](picture).enhance(factor)
    return picture


def view(picture: Image.Image, views, colour: bool) -> Image.Image:
    """One symmetric view.

    Args:
        picture: RGB.
        views: whatever has the fields of `Views` and `AlikeViews` of
            `mmgl_tf.flags.methods.shared.views`.
        colour: False for infrared images.
    """
    picture = resized_crop(picture, views)
    if random.random() < views.view_flip:
        picture = ImageOps.mirror(picture)
    if random.random() < views.view_jitter:
        picture = jitter(picture, views, colour)
    if colour and random.random() < views.view_grey:
        picture = picture.convert("L").convert("RGB")
    if random.random() < views.view_blur:
        picture = picture.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0)))
    return picture


def two_views_loader(
    colour: list[str], grey: list[str], views, height: int, width: int, batch_size: int, number: int
):
    """A `DataLoader` without worker processes, its best case per core, with the resized images in memory.

    Args:
        colour: files of visible images.
        grey: files of infrared images.
        views: as for `view`.
        height: rows after resizing.
        width: columns after resizing.
        batch_size: images in a batch.
        number: batches.

    Returns:
        A function that makes that many batches, [first views, second views], each a float32 tensor
        [batch_size, 3, H, W].

    Raises:
        ImportError: PyTorch is not installed.
    """
    import torch

    mean, deviation = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)

    def tensor(picture):
        image = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
        return image.to(torch.float32).div_(255).sub_(mean).div_(deviation)

    class TwoViews(torch.utils.data.Dataset):
        def __init__(self):
            self.pictures = [load(path, height, width) for path in (*colour, *grey)]

        def __len__(self):
            return len(self.pictures)

        def __getitem__(self, index):
            return [tensor(view(self.pictures[index], views, index < len(colour))) for _ in range(2)]

    loader = torch.utils.data.DataLoader(
        TwoViews(), batch_size=batch_size, shuffle=True, drop_last=True, num_workers=0
    )

    def batches():
        made = 0
        while made < number:
            for batch in itertools.islice(loader, number - made):
                made += 1
                yield batch

    return batches
