import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmgl_tf.pipelines.images import image_cache
from mmgl_tf.pipelines.records import Sample
from tests.pipelines.drawn_files import (
    HEIGHT,
    WIDTH,
    assert_right,
    cache_directory,
    expected,
    open_,
    write_images,
)


@pytest.mark.parametrize("cache", [True, False])
def test_pixels_equal_the_decoder(tmp_path, cache):
    samples = write_images(tmp_path / "images")
    calls = []
    for build in (True, False):
        calls.clear()
        store = open_(samples, tmp_path, cache=cache, progress=lambda *call: calls.append(call))
        assert_right(store, samples)
        assert (store.cached, store.notes, store.skipped) == (cache, [], [])
        assert store.usable.dtype == np.int64 and store.usable.tolist() == list(range(7))
        assert bool(calls) == build  # the second time nothing is decoded in advance
        assert not build or (calls[-1][:2] == (7, 7) and calls[-1][2] >= 0)
    np.testing.assert_array_equal(store[-1], store[6])
    with pytest.raises(IndexError):
        store[7]


@pytest.mark.parametrize("cache", [True, False])
def test_images_are_resized_by_the_filter_that_is_asked_for(tmp_path, cache):
    samples = write_images(tmp_path / "images")
    lanczos = open_(samples, tmp_path, cache=cache)
    store = open_(samples, tmp_path, cache=cache, resize="bilinear")
    assert_right(store, samples, "bilinear")
    assert_right(lanczos, samples)
    assert len(list((tmp_path / "cache").iterdir())) == (2 if cache else 1)
    assert any((store[i] != lanczos[i]).any() for i in range(len(samples)))


def test_cached_images_are_views_that_cannot_be_written(tmp_path):
    store = open_(write_images(tmp_path / "images"), tmp_path)
    assert np.shares_memory(store[1], store[1]) and type(store[1]) is np.ndarray
    with pytest.raises(ValueError, match="read-only"):
        store[1][0, 0] = 0


def test_grey_images_take_one_channel_on_disk(tmp_path):
    open_(write_images(tmp_path / "images"), tmp_path)
    directory = cache_directory(tmp_path)
    assert np.load(directory / "grey.npy").shape == (3, HEIGHT, WIDTH, 1)
    assert np.load(directory / "colour.npy").shape == (4, HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("position", [0, 1])
def test_lists_of_one_kind_only(tmp_path, position):
    samples = write_images(tmp_path / "images")[position : position + 1]
    for _ in range(2):
        image = open_(samples, tmp_path)[0]
        np.testing.assert_array_equal(np.broadcast_to(image, (HEIGHT, WIDTH, 3)), expected(samples[0]))


def test_nearly_grey_keeps_three_channels(tmp_path):
    pixels = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    pixels[3, 4, 2] = 101
    Image.fromarray(pixels).save(tmp_path / "x.png")
    for cache in (True, False):
        image = open_([Sample(str(tmp_path / "x.png"), None, None, 1)], tmp_path, cache=cache)[0]
        np.testing.assert_array_equal(image, pixels)


def test_empty_list(tmp_path):
    store = open_((), tmp_path)
    assert (len(store), store.usable.tolist(), store.skipped) == (0, [], [])
    assert not (tmp_path / "cache").exists()


def test_changed_image_is_decoded_anew(tmp_path):
    samples = write_images(tmp_path / "images")
    open_(samples, tmp_path)
    Image.new("RGB", (30, 30), (9, 8, 7)).save(samples[2].path, quality=100)
    assert_right(open_(samples, tmp_path), samples)


def spoil(samples):
    """Positions 1, 3, 5, 6 become empty, truncated, text, missing."""
    whole = Path(samples[3].path).read_bytes()
    for position, content in ((1, b""), (3, whole[: len(whole) // 2]), (5, b"hello")):
        with open(samples[position].path, "wb") as file:
            file.write(content)
    os.remove(samples[6].path)


@pytest.mark.parametrize("cache", [True, False])
def test_bad_images_are_all_named_or_skipped(tmp_path, cache):
    samples = write_images(tmp_path / "images")
    spoil(samples)
    for _ in range(2):  # found, then remembered
        with pytest.raises(ValueError) as error:
            open_(samples, tmp_path, cache=cache)
        message = str(error.value)
        assert message.startswith("4 of 7 images cannot be read:")
        for position, reason in (
            (1, "empty (0 bytes)"),
            (3, "truncated"),
            (5, "no image"),
            (6, "no such file"),
        ):
            (line,) = [line for line in message.splitlines() if samples[position].path in line]
            assert reason in line
        assert "--on_bad_image=skip" in message
        store = open_(samples, tmp_path, cache=cache, on_bad_image="skip")
        assert store.usable.tolist() == [0, 2, 4]
        assert [path for path, _ in store.skipped] == [samples[i].path for i in (1, 3, 5, 6)]
        assert_right(store, samples)
        with pytest.raises(ValueError, match=r"was skipped: empty"):
            store[1]


def test_long_lists_of_bad_images_are_cut(tmp_path):
    samples = [Sample(str(tmp_path / f"{i}.jpg"), None, None, 0) for i in range(25)]
    samples += write_images(tmp_path / "images", 1)
    with pytest.raises(ValueError, match=r"25 of 26 images(.|\n)*\.\.\. and 5 more") as error:
        open_(samples, tmp_path)
    assert str(error.value).count("no such file") == 20


@pytest.mark.parametrize("cache", [True, False])
def test_no_readable_image_is_an_error_even_if_skipping(tmp_path, cache):
    with pytest.raises(ValueError, match=r"No image is left. Check --data_dir."):
        open_([Sample(str(tmp_path / "x.jpg"), None, None, 0)], tmp_path, cache=cache, on_bad_image="skip")


def test_wrong_choice(tmp_path):
    with pytest.raises(ValueError, match="on_bad_image is 'ignore', expected"):
        open_((), tmp_path, on_bad_image="ignore")


@pytest.mark.parametrize("cache", [True, False])
def test_files_that_become_readable_come_back(tmp_path, cache, monkeypatch):
    """Permissions change without a change of the file's time."""
    samples = write_images(tmp_path / "images")
    status = os.stat(samples[4].path)
    whole = Path(samples[4].path).read_bytes()
    with open(samples[4].path, "wb") as file:
        file.write(b"\0" * len(whole))
    os.utime(samples[4].path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert len(open_(samples, tmp_path, cache=cache, on_bad_image="skip").usable) == 6
    with open(samples[4].path, "wb") as file:
        file.write(whole)
    os.utime(samples[4].path, ns=(status.st_atime_ns, status.st_mtime_ns))
    store = open_(samples, tmp_path, cache=cache)
    assert len(store.usable) == 7 and len(store.notes) == int(cache)
    assert_right(store, samples)


@pytest.mark.parametrize("cache", [True, False])
def test_many_threads_read_the_same(tmp_path, cache):
    samples = write_images(tmp_path / "images", 12)
    store = open_(samples, tmp_path, cache=cache)
    wanted = [store[i].copy() for i in range(12)]
    with ThreadPoolExecutor(4) as pool:
        for i, image in zip(
            list(range(12)) * 8, pool.map(lambda i: store[i], list(range(12)) * 8), strict=True
        ):
            np.testing.assert_array_equal(image, wanted[i])


def test_file_lost_while_running(tmp_path):
    samples = write_images(tmp_path / "images")
    store = open_(samples, tmp_path, cache=False)
    os.remove(samples[2].path)
    with pytest.raises(ValueError, match=r"2.jpg could be read when the run started.*no such file"):
        store[2]


def test_image_that_fails_once_is_decoded_again(tmp_path, monkeypatch):
    samples = write_images(tmp_path / "images", 5)
    batches = image_cache.decoded_batches

    def forget_one(paths, decode, progress):
        for positions, (images, greys) in batches(paths, decode, progress):
            keep = positions != 3
            yield positions[keep], (images[keep], greys[keep])

    monkeypatch.setattr(image_cache, "decoded_batches", forget_one)
    store = open_(samples, tmp_path)
    assert store.cached and len(store.usable) == 5
    assert_right(store, samples)
