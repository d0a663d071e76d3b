import json
import pickle
import shutil

import numpy as np
import pytest

from mmgl_tf.modes.search.embedded_files import read_embedded, write_embedded

ABOUT = {"source": {"fingerprint": "f1"}, "working_directory": "/somewhere"}


@pytest.fixture
def embeddings():
    return np.random.default_rng(5).normal(size=(7, 3)).astype(np.float32)


@pytest.fixture
def written(tmp_path, embeddings):
    """Written in three pieces, one of them empty."""

    def pieces():
        return iter([embeddings[:4], embeddings[:0], embeddings[4:]])

    paths = [f"{number}.jpg" for number in range(7)]
    root = tmp_path / "written"
    write_embedded(root, pieces, 7, 3, paths, np.arange(7) % 3 - 1, ABOUT)
    return root


def test_what_was_written_in_pieces_is_read_as_one(written, embeddings):
    found = read_embedded(written)
    assert isinstance(found.embeddings, np.memmap)
    np.testing.assert_array_equal(found.embeddings, embeddings)
    assert found.paths[6] == "6.jpg"
    assert found.modality.tolist() == [-1, 0, 1, -1, 0, 1, -1]
    assert str(found.file(1)) == "/somewhere/1.jpg"
    with np.load(written / "embeddings.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["embeddings"], embeddings)


def test_a_file_that_was_compressed_since_is_read_too(written, embeddings):
    with np.load(written / "embeddings.npz") as arrays:
        found = dict(arrays)
    np.savez_compressed(written / "embeddings.npz", **found)
    np.testing.assert_array_equal(read_embedded(written).embeddings, embeddings)


def rewrite(root, **changes):
    with np.load(root / "embeddings.npz") as arrays:
        found = dict(arrays)
    np.savez(root / "embeddings.npz", **found | changes)


class Explosive:
    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


@pytest.mark.parametrize("name", ["embeddings", "paths", "modality"])
def test_pickles_are_never_loaded(written, name):
    hostile = np.empty(7, object)
    hostile[:] = [pickle.dumps("harmless")] * 6 + [Explosive()]
    rewrite(written, **{name: hostile})
    with pytest.raises(ValueError, match="damaged"):
        read_embedded(written)


@pytest.mark.parametrize(
    "changes",
    [
        {"embeddings": np.zeros((7, 3))},
        {"embeddings": np.zeros((6, 3), np.float32)},
        {"embeddings": np.zeros(7, np.float32)},
        {"paths": np.arange(7)},
        {"modality": np.zeros(6, np.int32)},
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(written, changes):
    rewrite(written, **changes)
    with pytest.raises(ValueError, match="expected float32"):
        read_embedded(written)


@pytest.mark.parametrize("damage", ["cut", "not json", "no source", "no array"])
def test_damage_is_one_clear_error(written, damage):
    arrays, about = written / "embeddings.npz", written / "about.json"
    if damage == "cut":
        arrays.write_bytes(arrays.read_bytes()[:150])
    elif damage == "no array":
        np.savez(arrays, paths=np.array(["a"]), modality=np.zeros(1, np.int32))
    else:
        about.write_text("{" if damage == "not json" else json.dumps({"source": {}}))
    with pytest.raises(ValueError, match=r"--gallery=.* is damaged or none of ours"):
        read_embedded(written)


def test_an_unfinished_directory_says_how_to_go_on(written, tmp_path):
    (written / "about.json").unlink()
    (written / "plan.json").write_text("{}")
    with pytest.raises(ValueError, match=r"--images=.* is not finished: give its --mode=embed command again"):
        read_embedded(written, "images")
    shutil.rmtree(written)
    with pytest.raises(ValueError, match=r"holds no embeddings\.npz"):
        read_embedded(written)
