import json
import os

import numpy as np
import pytest
from PIL import Image

from mmgl_tf.flags.config import from_flat
from mmgl_tf.modes.search import embed as module
from mmgl_tf.modes.search import embed_batches, embed_chunks
from mmgl_tf.modes.search.embed import embed
from mmgl_tf.modes.search.embedded_files import read_embedded
from tests.modes.plain_source import PlainSource

RESULTS = ("about.json", "embeddings.npz", "embeddings.tsv")
STRANGE = [
    "tab\there.png",
    "line\nfeed.png",
    "back\\slash.png",
    "Ünïcödé 人.png",
    os.fsdecode(b"\xff\xfe.png"),
]


def draw(path, seed, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 8, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)


@pytest.fixture
def images(tmp_path):
    """20 images of both modalities, of several formats."""
    for number in range(20):
        modality, kind = ("visible", "infrared")[number // 10], ("png", "jpg", "bmp")[number % 3]
        mode = "L" if number // 10 else "RGB"
        draw(tmp_path / "images" / modality / f"{number:02d}.{kind}", number, mode)
    return tmp_path / "images"


@pytest.fixture
def source(monkeypatch):
    """Replaces the model; chunks of 6 images."""
    monkeypatch.setattr(embed_chunks, "CHUNK", 6)
    monkeypatch.setattr(module, "CHUNK", 6)

    def use(**options):
        found = PlainSource(**options)
        monkeypatch.setattr(module, "open_source", lambda config: found)
        return found

    use()
    return use


def config(images, workdir, **changes):
    flat = {"mode": "embed", "images": str(images), "workdir": str(workdir), "batch_size": 4}
    return from_flat(flat | changes)


def contents(workdir):
    return {name: (workdir / name).read_bytes() for name in RESULTS}


def expected(path, modality):
    return PlainSource().embed([path.read_bytes()], np.array([modality]))[0]


def test_every_image_is_embedded_by_its_modality_and_named_beside_it(images, tmp_path, source):
    assert embed(config(images, tmp_path / "out")) == 0
    with np.load(tmp_path / "out" / "embeddings.npz", allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    files = sorted(path for path in images.rglob("*") if path.is_file())
    assert found["paths"].tolist() == [str(path) for path in files]
    assert found["embeddings"].dtype == np.float32
    assert found["modality"].tolist() == [1] * 10 + [0] * 10
    for row, path in enumerate(files):
        np.testing.assert_array_equal(found["embeddings"][row], expected(path, 1 if row < 10 else 0))
    about = json.loads((tmp_path / "out" / "about.json").read_text())
    assert about["source"]["fingerprint"] == "f1"
    assert about["modalities"] == {"infrared": 10, "visible": 10}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        [*RESULTS, "plan.json", "run.lock"]
    )


def test_the_tsv_has_the_same_numbers_to_the_last_bit(images, tmp_path, source):
    embed(config(images, tmp_path / "out"))
    lines = (tmp_path / "out" / "embeddings.tsv").read_text().split("\n")
    rows = [line.split("\t") for line in lines[:-1]]
    assert lines[-1] == ""
    assert rows[0] == ["path", "modality", *(f"embedding_{number}" for number in range(24))]
    assert [row[1] for row in rows[1:]] == ["infrared"] * 10 + ["visible"] * 10
    read = read_embedded(tmp_path / "out")
    assert isinstance(read.embeddings, np.memmap)
    np.testing.assert_array_equal(np.array([row[2:] for row in rows[1:]], np.float32), read.embeddings)


def test_strange_names_come_back_from_every_file(tmp_path, source):
    for number, name in enumerate(STRANGE):
        draw(tmp_path / "visible" / name, number)
    embed(config(tmp_path / "visible", tmp_path / "out"))
    read = read_embedded(tmp_path / "out")
    assert sorted(os.path.basename(path) for path in read.paths) == sorted(STRANGE)
    assert all(read.file(position).is_file() for position in range(len(STRANGE)))
    lines = (tmp_path / "out" / "embeddings.tsv").read_bytes().decode("utf-8", "surrogateescape")
    rows = [line.split("\t") for line in lines.split("\n")[1:-1]]
    assert {len(row) for row in rows} == {26}
    known = {"\\t": "\t", "\\n": "\n", "\\\\": "\\"}
    names = [row[0] for row in rows]
    for written, sign in known.items():
        names = [name.replace(written, sign) for name in names]
    assert names == read.paths


@pytest.mark.parametrize("stop_after", [1, 4, 8, 13, 16])
def test_a_stopped_command_goes_on_and_ends_with_the_same_files(images, tmp_path, source, stop_after, capsys):
    embed(config(images, tmp_path / "out"))
    whole = contents(tmp_path / "out")
    first = source(stop_after=stop_after)
    with pytest.raises(KeyboardInterrupt):
        embed(config(images, tmp_path / "again"))
    assert not (tmp_path / "again" / "embeddings.npz").exists()
    second = source()
    assert f"{sum(first.batches)} of 20 images are embedded; the same" in capsys.readouterr().out
    embed(config(images, tmp_path / "again"))
    assert contents(tmp_path / "again") == whole
    assert sum(first.batches) + sum(second.batches) == 20  # nothing twice
    assert f"from image {sum(first.batches)} of 20" in capsys.readouterr().out


def test_what_a_kill_leaves_behind_is_cleared_away(images, tmp_path, source):
    embed(config(images, tmp_path / "out"))
    source(stop_after=8)
    again = tmp_path / "again"
    again.mkdir()
    (again / ".plan.json.abc.tmp").write_bytes(b"half")  # killed while the very first file was written
    with pytest.raises(KeyboardInterrupt):
        embed(config(images, again))
    (again / ".embeddings.npz.abc.tmp").write_bytes(b"half")
    (again / "unfinished" / ".chunk_000009.npz.abc.tmp").write_bytes(b"half")
    source()
    embed(config(images, again))
    assert contents(again) == contents(tmp_path / "out")
    assert sorted(path.name for path in again.iterdir()) == sorted([*RESULTS, "plan.json", "run.lock"])


def test_a_finished_command_has_nothing_to_do(images, tmp_path, source, capsys):
    embed(config(images, tmp_path / "out"))
    again = source()
    embed(config(images, tmp_path / "out"))
    assert again.batches == []
    assert "already" in capsys.readouterr().out


@pytest.mark.parametrize("stop_after", [None, 8])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("content", r"1 file was changed \(size or time\): .*10\.jpg"),
        ("time", r"1 file was changed \(size or time\): .*10\.jpg"),
        ("removed", r"1 file was removed: .*10\.jpg"),
        ("added", r"1 file was added: .*09a\.png"),
        ("modality", "of another modality"),
        ("model", "fingerprint|weights in runs/plain were changed"),
    ],
)
def test_what_changed_since_is_noticed_and_said(images, tmp_path, source, stop_after, change, message):
    changes = {}
    source(stop_after=stop_after)
    try:
        embed(config(images, tmp_path / "out"))
    except KeyboardInterrupt:
        assert stop_after
    source(fingerprint="f2" if change == "model" else "f1")
    if change == "content":
        draw(images / "infrared" / "10.jpg", 77)
        os.utime(images / "infrared" / "10.jpg", ns=(1, 1))
    elif change == "time":
        os.utime(images / "infrared" / "10.jpg", ns=(1, 1))
    elif change == "removed":
        (images / "infrared" / "10.jpg").unlink()
    elif change == "added":
        draw(images / "infrared" / "09a.png", 78)
    elif change == "modality":
        changes = {"image_modality": "visible"}
    with pytest.raises(ValueError, match=message):
        embed(config(images, tmp_path / "out", **changes))
    embed(config(images, tmp_path / "out", **changes, force=True))
    embed(config(images, tmp_path / "new", **changes))
    assert contents(tmp_path / "out") == contents(tmp_path / "new")


def test_what_is_not_embedded_yet_may_change(images, tmp_path, source, capsys):
    source(stop_after=8)
    with pytest.raises(KeyboardInterrupt):
        embed(config(images, tmp_path / "out"))
    draw(images / "visible" / "05.bmp", 99)
    draw(images / "visible" / "95.png", 98)
    source()
    embed(config(images, tmp_path / "out"))
    assert "1 file was added" in capsys.readouterr().out
    embed(config(images, tmp_path / "new"))
    assert contents(tmp_path / "out") == contents(tmp_path / "new")


def spoil(images):
    (images / "infrared" / "12.png").write_bytes((images / "infrared" / "12.png").read_bytes()[:60])
    (images / "visible" / "03.png").write_bytes(b"")


def test_unreadable_images_are_skipped_and_listed(images, tmp_path, source):
    spoil(images)
    embed(config(images, tmp_path / "out", on_bad_image="skip"))
    read = read_embedded(tmp_path / "out")
    assert len(read.paths) == 18
    assert not [path for path in read.paths if path.endswith(("12.png", "03.png"))]
    for row, path in enumerate(read.paths):
        with open(path, "rb") as file:
            alone = PlainSource().embed([file.read()], read.modality[row : row + 1])
        np.testing.assert_array_equal(read.embeddings[row], alone[0])
    skipped = {os.path.basename(entry["path"]): entry["reason"] for entry in read.about["skipped"]}
    assert set(skipped) == {"12.png", "03.png"}
    assert skipped["03.png"] == "empty (0 bytes)"


def test_unreadable_images_stop_it_by_name_and_it_goes_on_when_they_are_mended(images, tmp_path, source):
    spoil(images)
    with pytest.raises(ValueError, match=r"(?s)1 image cannot be read:\n.*12\.png.*--on_bad_image=skip"):
        embed(config(images, tmp_path / "out"))
    draw(images / "infrared" / "12.png", 12)
    with pytest.raises(ValueError, match=r"03\.png"):
        embed(config(images, tmp_path / "out"))
    (images / "visible" / "03.png").unlink()
    last = source()
    embed(config(images, tmp_path / "out"))
    assert sum(last.batches) < 19
    embed(config(images, tmp_path / "new"))
    assert contents(tmp_path / "out") == contents(tmp_path / "new")


def test_skipped_images_are_refused_when_none_may_be_skipped_any_more(images, tmp_path, source):
    spoil(images)
    source(stop_after=8)
    with pytest.raises(KeyboardInterrupt):
        embed(config(images, tmp_path / "out", on_bad_image="skip"))
    source()
    with pytest.raises(ValueError, match=r"12\.png"):
        embed(config(images, tmp_path / "out", on_bad_image="fail"))


def test_no_readable_image_is_an_error(tmp_path, source):
    (tmp_path / "visible").mkdir()
    (tmp_path / "visible" / "a.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="none of the 1 images"):
        embed(config(tmp_path / "visible", tmp_path / "out", on_bad_image="skip"))


def test_a_model_of_one_stream_needs_no_modality(images, tmp_path, source, capsys):
    source(two_streams=False)
    os.rename(images / "infrared", images / "people")
    embed(config(images, tmp_path / "out"))
    read = read_embedded(tmp_path / "out")
    assert set(read.modality.tolist()) == {0, -1}
    assert "10 visible, 10 unknown" in capsys.readouterr().out
    assert "\tunknown\t" in (tmp_path / "out" / "embeddings.tsv").read_text()


def test_an_embedding_that_is_no_number_stops_it(images, tmp_path, source):
    broken = source()
    broken.embed = lambda encoded, modality: np.full((len(encoded), 24), np.nan, np.float32)
    with pytest.raises(ValueError, match=r"4 embeddings are not finite.*10\.jpg"):
        embed(config(images, tmp_path / "out"))


def test_images_are_read_at_most_one_batch_ahead(images, tmp_path, source, monkeypatch):
    model, opened, real = source(), [], embed_batches._content

    def read(path):
        opened.append(path)
        return real(path)

    monkeypatch.setattr(embed_batches, "_content", read)
    most, embedded = [], model.embed

    def look(encoded, modality):
        most.append(len(opened) - sum(model.batches))
        return embedded(encoded, modality)

    model.embed = look
    embed(config(images, tmp_path / "out"))
    assert len(most) == 5
    assert max(most) <= 8


def test_a_directory_of_something_else_is_not_written_into(images, tmp_path, source):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="choose a new directory"):
        embed(config(images, tmp_path / "out"))
