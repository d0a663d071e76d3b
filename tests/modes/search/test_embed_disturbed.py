"""--mode=embed beside another one, and after its files were damaged."""

import numpy as np
import pytest
from PIL import Image

from mmgl_tf.flags.config import from_flat
from mmgl_tf.modes.search import embed as module
from mmgl_tf.modes.search.embed import embed
from tests.modes.plain_source import PlainSource


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Function (model, workdir) -> embeds 20 images in batches of 4, a chunk each; returns the array file."""
    (tmp_path / "visible").mkdir()
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 256, (16, 8, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "visible" / f"{number:02d}.bmp")
    monkeypatch.setattr(module, "CHUNK", 4)

    def start(model, workdir):
        monkeypatch.setattr(module, "open_source", lambda config: model)
        flat = {"mode": "embed", "images": str(tmp_path / "visible"), "batch_size": 4}
        embed(from_flat(flat | {"workdir": str(tmp_path / workdir)}))
        return (tmp_path / workdir / "embeddings.npz").read_bytes()

    return start


def test_a_second_command_in_the_same_directory_is_refused_and_the_first_is_undisturbed(run, tmp_path):
    pytest.importorskip("fcntl")
    first = PlainSource()
    embedded, half = first.embed, tmp_path / "out" / ".embeddings.npz.abc.tmp"

    def meanwhile(encoded, modality):
        half.write_text("just being written")
        with pytest.raises(ValueError, match="another --mode=embed is at work"):
            run(PlainSource(), "out")
        assert half.exists()
        half.unlink()
        return embedded(encoded, modality)

    first.embed = meanwhile
    assert run(first, "out") == run(PlainSource(), "new")
    assert len(first.batches) == 5


def test_a_damaged_part_is_embedded_anew_and_said(run, tmp_path, capsys):
    with pytest.raises(KeyboardInterrupt):
        run(PlainSource(stop_after=13), "out")
    path = tmp_path / "out" / "unfinished" / "chunk_000001.npz"
    path.write_bytes(path.read_bytes()[:100])
    again = PlainSource()
    found = run(again, "out")
    assert "chunk_000001.npz is damaged" in capsys.readouterr().out
    assert sum(again.batches) == 16
    assert found == run(PlainSource(), "new")


def test_a_finished_one_is_finished_whatever_lies_about(run, tmp_path, capsys):
    found = run(PlainSource(), "out")
    (tmp_path / "out" / "unfinished").mkdir()
    (tmp_path / "out" / "unfinished" / "chunk_000000.npz").write_bytes(b"")
    assert run(PlainSource(), "out") == found
    assert "damaged" not in capsys.readouterr().out
