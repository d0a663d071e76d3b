"""Small image files, and the store of them, for the tests of stores and caches."""

import numpy as np
from PIL import Image

from mmgl_tf.pipelines.decode import decode_image
from mmgl_tf.pipelines.images.image_store import open_store
from mmgl_tf.pipelines.records import Sample

HEIGHT, WIDTH = 24, 12


def write_images(directory, count=7):
    """Every third one grey (as JPEG with three channels); one PNG, one with alpha."""
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(count)
    samples = []
    for number in range(count):
        image = Image.fromarray(rng.integers(0, 256, (9, 5, 3), dtype=np.uint8)).resize((20, 40))
        if number % 3 == 0:
            image = image.convert("L").convert("RGB")
        path = str(directory / f"{number}.{'png' if number == 1 else 'jpg'}")
        image.save(path)
        samples.append(Sample(path, None, None, number % 2))
    return tuple(samples)


def open_(samples, tmp_path, **options):
    return open_store(samples, HEIGHT, WIDTH, cache_dir=str(tmp_path / "cache"), **options)


def expected(sample, *resize):
    with open(sample.path, "rb") as file:
        return decode_image(file.read(), HEIGHT, WIDTH, *resize).numpy()


def assert_right(store, samples, *resize):
    assert len(store) == len(samples)
    for position in store.usable:
        image = store[position]
        assert image.dtype == np.uint8 and image.shape == (HEIGHT, WIDTH, 1 if position % 3 == 0 else 3)
        whole = np.broadcast_to(image, (HEIGHT, WIDTH, 3))
        np.testing.assert_array_equal(whole, expected(samples[position], *resize))


def cache_directory(tmp_path):
    (directory,) = (tmp_path / "cache").iterdir()
    return directory
