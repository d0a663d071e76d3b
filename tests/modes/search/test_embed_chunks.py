import numpy as np
import pytest

from mmgl_tf.modes.search.embed_batches import Embeddings
from mmgl_tf.modes.search.embed_chunks import Chunks
from mmgl_tf.modes.search.embed_files import ImageFile

FILES = [ImageFile(f"{number}.png", 10, 20, 0) for number in range(12)]
SOURCE = {"path": "runs/plain", "fingerprint": "f1"}


def vectors(positions):
    return np.repeat(np.asarray(positions, np.float32)[:, None], 50, axis=1)


def batch(first, last, bad=()):
    positions = np.array([n for n in range(first, last) if n not in bad], np.int64)
    return Embeddings(positions, vectors(positions), [(n, "empty") for n in bad])


def half_done(root):
    """Three chunks of three images each."""
    chunks = Chunks(root, SOURCE, FILES)
    for first in (0, 3, 6):
        chunks.write([batch(first, first + 3, [4] if first == 3 else [])])
    return chunks


def cut(content):
    return content[: len(content) // 2]


def flip(content):
    """One wrong byte among the embeddings; the archive's directory is whole."""
    place = content.index(vectors([3])[0].tobytes()) + 50
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


def test_what_is_done_is_found_again(tmp_path):
    half_done(tmp_path)
    again = Chunks(tmp_path, SOURCE, FILES)
    assert (again.done, again.notes) == (9, [])
    assert [chunk.positions.tolist() for chunk in again.read()] == [[0, 1, 2], [3, 5], [6, 7, 8]]
    assert [chunk.skipped for chunk in again.read()] == [[], [(4, "empty")], []]


def stray(content):
    """The archive's end says that its directory begins a gigabyte on."""
    return content[:-3] + b"\x40" + content[-2:]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("damage", [cut, flip, stray, lambda content: b"", lambda content: b"no archive"])
def test_a_damaged_chunk_is_not_done_nor_is_what_follows_it(tmp_path, damage):
    half_done(tmp_path)
    path = tmp_path / "unfinished" / "chunk_000001.npz"
    path.write_bytes(damage(path.read_bytes()))
    again = Chunks(tmp_path, SOURCE, FILES)
    (note,) = again.notes
    assert "chunk_000001.npz is damaged" in note
    assert "from image 3 on" in note
    assert again.done == 3
    again.write([batch(3, 5)])  # a shorter one than before, then it is stopped again
    assert Chunks(tmp_path, SOURCE, FILES).done == 5
    assert np.concatenate([chunk.positions for chunk in again.read()]).tolist() == [0, 1, 2, 3, 4]


def test_a_chunk_of_other_images_is_not_done(tmp_path):
    half_done(tmp_path)
    (tmp_path / "unfinished" / "chunk_000002.npz").rename(tmp_path / "unfinished" / "chunk_000001.npz")
    again = Chunks(tmp_path, SOURCE, FILES)
    assert (again.done, len(again.notes)) == (3, 1)


def test_what_follows_a_damaged_chunk_is_not_taken_for_another_model_s(tmp_path):
    half_done(tmp_path)
    (tmp_path / "unfinished" / "chunk_000000.npz").write_bytes(b"")
    other = SOURCE | {"fingerprint": "f2"}
    Chunks(tmp_path, other, FILES).write([batch(0, 3)])
    assert Chunks(tmp_path, other, FILES).done == 3
