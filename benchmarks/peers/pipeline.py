"""The peer of the pipeline benchmark: what a PyTorch user writes, a `DataLoader` over Pillow operations.

Where torchvision's transforms would be used, the same Pillow and PyTorch calls stand here directly, and
AugMix's mixture is taken on bytes and normalised once instead of per chain, so the peer is, if anything,
favoured.
"""

import itertools
import random

import numpy as np
from PIL import Image, ImageOps

from mmgl_tf.pipelines.decode import MEAN, STD

_BILINEAR = Image.Resampling.BILINEAR
_GENERATOR = np.random.default_rng()


def load(path: str, height: int, width: int) -> Image.Image:
    """Decodes a file and resizes it with Pillow's antialiased Lanczos filter."""
    with Image.open(path) as picture:
        return picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)


def _level(severity, most):
    return random.uniform(0.1, severity) * most / 10


def _sign():
    return random.choice((-1, 1))


def _affine(picture, *numbers):
    return picture.transform(picture.size, Image.Transform.AFFINE, numbers, resample=_BILINEAR)


OPERATIONS = (
    lambda picture, severity: ImageOps.autocontrast(picture),
    lambda picture, severity: ImageOps.equalize(picture),
    lambda picture, severity: ImageOps.posterize(picture, 4 - int(_level(severity, 4))),
    lambda picture, severity: picture.rotate(_sign() * int(_level(severity, 30)), resample=_BILINEAR),
    lambda picture, severity: ImageOps.solarize(picture, 256 - int(_level(severity, 256))),
    lambda picture, severity: _affine(picture, 1, _sign() * _level(severity, 0.3), 0, 0, 1, 0),
    lambda picture, severity: _affine(picture, 1, 0, 0, _sign() * _level(severity, 0.3), 1, 0),
    lambda picture, severity: _affine(
        picture, 1, 0, _sign() * int(_level(severity, picture.width / 3)), 0, 1, 0
    ),
    lambda picture, severity: _affine(
        picture, 1, 0, 0, 0, 1, _sign() * int(_level(severity, picture.height / 3))
    ),
)


def pillow_augmix(picture: Image.Image, severity: float = 3.0, width: int = 3) -> np.ndarray:
    """AugMix with Pillow's operations.

    Args:
        picture: RGB.
        severity: largest level.
        width: chains.

    Returns:
        float32 [H, W, 3] in 0..255.
    """
    weights = _GENERATOR.dirichlet([1.0] * width).astype(np.float32)
    share = np.float32(_GENERATOR.beta(1.0, 1.0))
    mixed = (1 - share) * np.asarray(picture, np.float32)
    for weight in weights:
        chain = picture
        for _ in range(random.randint(1, 3)):
            chain = random.choice(OPERATIONS)(chain, severity)
        mixed += share * weight * np.asarray(chain)
    return mixed


def peer_loader(
    paths: list[str], height: int, width: int, num_stripes: int, batch_size: int, number: int, cached: bool
):
    """A `DataLoader` without worker processes, its best case per core.

    Args:
        paths: image files.
        height: rows after resizing.
        width: columns after resizing.
        num_stripes: N.
        batch_size: images in a batch.
        number: batches.
        cached: keep the resized images in memory.

    Returns:
        A function that makes that many batches, dicts: images, float32 tensor [batch_size, 3, H, W];
        permutation [batch_size, N].

    Raises:
        ImportError: PyTorch is not installed.
    """
    import torch

    mean = torch.tensor(MEAN).view(3, 1, 1) * 255
    deviation = torch.tensor(STD).view(3, 1, 1) * 255

    def erase(image):
        if random.random() >= 0.5:
            return
        for _ in range(100):
            area = random.uniform(0.02, 0.4) * height * width
            aspect = random.uniform(0.3, 1 / 0.3)
            rows, columns = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
            if rows < height and columns < width:
                top, left = random.randint(0, height - rows), random.randint(0, width - columns)
                image[:, top : top + rows, left : left + columns] = 0
                return

    class PillowImages(torch.utils.data.Dataset):
        def __init__(self):
            self.pictures = [load(path, height, width) for path in paths] if cached else None

        def __len__(self):
            return len(paths)

        def __getitem__(self, index):
            picture = self.pictures[index] if cached else load(paths[index], height, width)
            picture = ImageOps.expand(picture, 10)
            left, top = random.randint(0, 20), random.randint(0, 20)
            picture = picture.crop((left, top, left + width, top + height))
            if random.random() < 0.5:
                picture = ImageOps.mirror(picture)
            image = torch.from_numpy(pillow_augmix(picture)).permute(2, 0, 1).contiguous()
            image.sub_(mean).div_(deviation)
            erase(image)
            order = torch.randperm(num_stripes)
            stripes = image.view(3, num_stripes, height // num_stripes, width)
            return {"images": stripes[:, order].reshape(image.shape), "permutation": order}

    loader = torch.utils.data.DataLoader(
        PillowImages(), batch_size=batch_size, shuffle=True, drop_last=True, num_workers=0
    )

    def batches():
        made = 0
        while made < number:
            for batch in itertools.islice(loader, number - made):
                made += 1
                yield batch

    return batches
