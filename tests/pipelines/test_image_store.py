import errno
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines import image_cache
from pipelines.decode import decode_image
from pipelines.image_store import open_store
from pipelines.records import Sample

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


def expected(sample):
    with open(sample.path, "rb") as file:
        return decode_image(file.read(), HEIGHT, WIDTH).numpy()


def assert_right(store, samples):
    assert len(store) == len(samples)
    for position in store.usable:
        image = store[position]
        assert image.dtype == np.uint8 and image.shape == (HEIGHT, WIDTH, 1 if position % 3 == 0 else 3)
        np.testing.assert_array_equal(np.broadcast_to(image, (HEIGHT, WIDTH, 3)), expected(samples[position]))


def cache_directory(tmp_path):
    (directory,) = (tmp_path / "cache").iterdir()
    return directory


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


def test_key_follows_files_size_and_order(tmp_path):
    samples = write_images(tmp_path / "images")
    paths = [sample.path for sample in samples]
    keys = [image_cache.cache_key(paths, 24, 12)]
    keys.append(image_cache.cache_key(paths, 12, 24))
    keys.append(image_cache.cache_key(paths[::-1], 24, 12))
    os.utime(paths[2], ns=(1, 1))
    keys.append(image_cache.cache_key(paths, 24, 12))
    with open(paths[2], "ab") as file:
        file.write(b"x")
    os.utime(paths[2], ns=(1, 1))
    keys.append(image_cache.cache_key(paths, 24, 12))
    assert len(set(keys)) == 5
    assert keys[-1] == image_cache.cache_key(paths, 24, 12)


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


def cut(path):
    os.truncate(path, os.path.getsize(path) - 1)


def invert_end(path):
    with open(path, "r+b") as file:
        file.seek(-8, os.SEEK_END)
        end = file.read()
        file.seek(-8, os.SEEK_END)
        file.write(bytes(255 - byte for byte in end))


def lose_an_image(path):
    np.save(path, np.load(path)[:-1])


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("colour.npy", cut),
        ("grey.npy", cut),
        ("colour.npy", lose_an_image),
        ("index.npy", cut),
        ("index.npy", invert_end),
        ("manifest.json", cut),
        ("manifest.json", os.remove),
        ("colour.npy", os.remove),
    ],
)
def test_damaged_cache_is_made_anew(tmp_path, file, damage):
    samples = write_images(tmp_path / "images")
    open_(samples, tmp_path)
    damage(cache_directory(tmp_path) / file)
    store = open_(samples, tmp_path)
    assert_right(store, samples)
    assert len(store.notes) == 1 and "was damaged" in store.notes[0]
    assert open_(samples, tmp_path).notes == []
    cache_directory(tmp_path)  # one only


def test_altered_pixels_are_noticed_when_they_are_read(tmp_path):
    samples = write_images(tmp_path / "images")
    open_(samples, tmp_path)
    invert_end(cache_directory(tmp_path) / "colour.npy")
    store = open_(samples, tmp_path)
    assert_right(store, samples)
    assert_right(store, samples)  # the repaired image stays right
    assert "was damaged" in open_(samples, tmp_path).notes[0]


def test_foreign_cache_is_not_used(tmp_path):
    samples = write_images(tmp_path / "images")
    open_(samples, tmp_path)
    manifest = cache_directory(tmp_path) / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"key": "0" * 64}))
    store = open_(samples, tmp_path)
    assert "it belongs to other images" in store.notes[0]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_falls_back_to_decoding(tmp_path, monkeypatch, code):
    samples = write_images(tmp_path / "images")
    append = image_cache._GrowingArray.append

    def full(self, data):
        if self.count == 2:
            raise OSError(code, os.strerror(code))
        return append(self, data)

    monkeypatch.setattr(image_cache._GrowingArray, "append", full)
    store = open_(samples, tmp_path)
    assert not store.cached
    assert "Free up to 0.1 GB" in store.notes[0] and os.strerror(code) in store.notes[0]
    assert_right(store, samples)
    assert not [entry for entry in os.listdir(tmp_path / "cache") if entry.startswith("images")]
    monkeypatch.undo()
    assert open_(samples, tmp_path).cached  # once there is room


def test_cache_directory_that_cannot_be_made(tmp_path):
    samples = write_images(tmp_path / "images")
    (tmp_path / "cache").write_text("a file")
    for cache in (True, False):
        store = open_(samples, tmp_path, cache=cache)
        assert not store.cached and len(store.notes) == int(cache)
        assert_right(store, samples)


def test_interrupted_build_leaves_nothing(tmp_path, monkeypatch):
    samples = write_images(tmp_path / "images")

    def interrupt(self, data):
        raise KeyboardInterrupt

    monkeypatch.setattr(image_cache._GrowingArray, "append", interrupt)
    with pytest.raises(KeyboardInterrupt):
        open_(samples, tmp_path)
    assert os.listdir(tmp_path / "cache") == []


def test_remains_of_killed_builds_are_removed(tmp_path):
    samples = write_images(tmp_path / "images")
    open_(samples, tmp_path)
    directory = cache_directory(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    host = image_cache._owner().rpartition("-")[0]
    dead = directory.with_name(f"{directory.name}.{host}-{process.pid}.abcd")
    alive = directory.with_name(f"{directory.name}.{host}-{os.getpid()}.abcd")
    elsewhere = directory.with_name(f"{directory.name}.otherhost-{process.pid}.abcd")
    for remains in (dead, alive, elsewhere):
        remains.mkdir()
    (directory / "manifest.json").unlink()
    open_(samples, tmp_path)
    assert not dead.exists() and alive.exists() and elsewhere.exists()


def test_two_builders_at_once(tmp_path, monkeypatch):
    """Both decode, both find no cache; one result stays, and both can use it."""
    samples = write_images(tmp_path / "images", 20)
    barrier = threading.Barrier(2, timeout=30)
    write = image_cache._write

    def write_together(*arguments):
        write(*arguments)
        barrier.wait()

    monkeypatch.setattr(image_cache, "_write", write_together)
    with ThreadPoolExecutor(2) as pool:
        stores = list(pool.map(lambda _: open_(samples, tmp_path), range(2)))
    cache_directory(tmp_path)
    for store in stores:
        assert store.cached and store.notes == []
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
