import errno
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mmgl_tf.pipelines.images import image_cache
from tests.pipelines.drawn_files import assert_right, cache_directory, open_, write_images


def test_key_follows_files_size_filter_and_order(tmp_path):
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
    keys.append(image_cache.cache_key(paths, 24, 12, "bilinear"))
    assert len(set(keys)) == 6
    assert keys[-2] == image_cache.cache_key(paths, 24, 12) == image_cache.cache_key(paths, 24, 12, "lanczos")


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
