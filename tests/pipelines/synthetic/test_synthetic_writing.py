import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmgl_tf.pipelines.synthetic import (
    WorldError,
    write_world,
)
from mmgl_tf.pipelines.synthetic import spec as spec_module
from mmgl_tf.pipelines.synthetic import write as write_module
from tests.pipelines.small_world import SPEC


def tree_hash(root):
    total = hashlib.sha256()
    for path in sorted(Path(root).rglob("*")):
        total.update(str(path.relative_to(root)).encode())
        if path.is_file():
            total.update(path.read_bytes())
    return total.hexdigest()


def test_a_complete_world_is_reused_and_an_incomplete_one_redrawn(tmp_path):
    root = write_world(SPEC, tmp_path / "world", processes=1)
    before = tree_hash(root)
    calls = []
    write_world(SPEC, root, processes=1, progress=lambda *a: calls.append(a))
    assert not calls
    for damage in ("unlink", "empty", "marker"):
        path = root / "cam4" / "0003" / "0002.jpg"
        if damage == "unlink":
            path.unlink()
        elif damage == "empty":
            path.write_bytes(b"")
        else:
            (root / "world.json").write_text('{"seed": 1')
        write_world(SPEC, root, processes=1, progress=lambda *a: calls.append(a))
        assert tree_hash(root) == before
    assert calls[-1][:2] == (130, 130)
    assert [p.name for p in tmp_path.iterdir()] == ["world"]


def test_directories_that_hold_something_else_are_left_alone(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("precious")
    with pytest.raises(WorldError, match=r"no world\.json"):
        write_world(SPEC, tmp_path / "thesis", processes=1)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "precious"
    (tmp_path / "file").write_text("x")
    with pytest.raises(WorldError, match="is a file"):
        write_world(SPEC, tmp_path / "file", processes=1)
    (tmp_path / "thesis" / "world.json").write_text("{}")
    with pytest.raises(WorldError, match=r"holds chapter\.txt"):
        write_world(SPEC, tmp_path / "thesis", processes=1)
    other = tmp_path / "other"
    other.mkdir()
    content = {**SPEC.as_dict(), "seed": 9, "images": 130}
    (other / "world.json").write_text(json.dumps(content))
    with pytest.raises(WorldError, match="holds another world"):
        write_world(SPEC, other, processes=1)


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    drawn = []

    def fail(spec, *numbers):
        drawn.append(numbers)
        if len(drawn) > 20:
            raise OSError(28, "No space left on device")
        return np.zeros((spec.height, spec.width, 3), np.uint8)

    monkeypatch.setattr(write_module, "draw_image", fail)
    with pytest.raises(OSError, match="No space left"):
        write_world(SPEC, tmp_path / "world", processes=1)
    assert list(tmp_path.iterdir()) == []


def test_a_failing_process_is_reported_and_leaves_nothing(tmp_path, monkeypatch):
    # The children's spec has a drawing version that theirs cannot match.
    monkeypatch.setattr(spec_module, "DRAWING_VERSION", -1)
    with pytest.raises(OSError, match="drawing code changed"):
        write_world(SPEC, tmp_path / "world", processes=2)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_write_leaves_no_world_and_the_next_one_clears_up(tmp_path):
    big = f"WorldSpec(**{{**{vars(SPEC)!r}, 'test_identities': 2000}})"
    code = (
        "from mmgl_tf.pipelines.synthetic import WorldSpec, write_world;"
        f"write_world({big}, {str(tmp_path / 'world')!r}, 2, lambda *a: print(a, flush=True))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    left = [p.name for p in tmp_path.iterdir()]
    assert len(left) == 1
    assert left[0].startswith(".world.partial-")
    root = write_world(SPEC, tmp_path / "world", processes=1)
    assert tree_hash(root) == tree_hash(write_world(SPEC, tmp_path / "again", processes=1))
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []


def test_progress_reaches_the_end(tmp_path):
    calls = []
    write_world(SPEC, tmp_path / "world", processes=2, progress=lambda *a: calls.append(a))
    assert calls[-1][:2] == (130, 130)
    assert [c[0] for c in calls] == sorted(c[0] for c in calls)
    assert all(c[2] >= 0 for c in calls)
