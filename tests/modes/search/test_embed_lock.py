import subprocess
import sys

import pytest

from mmgl_tf.modes.search.embed_lock import locked_directory

pytest.importorskip("fcntl")


def test_the_second_is_refused_at_once_and_touches_nothing(tmp_path):
    with locked_directory(tmp_path / "out", "plan.json") as root:
        (root / ".plan.json.abc.tmp").write_text("just being written")
        with (
            pytest.raises(ValueError, match=r"another --mode=embed is at work in .*out; wait for it"),
            locked_directory(root, "plan.json"),
        ):
            pass
        assert (root / ".plan.json.abc.tmp").read_text() == "just being written"
        with locked_directory(tmp_path / "other", "plan.json"):
            pass
    with locked_directory(root, "plan.json"):
        pass


def test_another_process_s_lock_ends_with_it_however_it_ends(tmp_path):
    (tmp_path / "run.lock").touch()
    hold = (
        "import fcntl, sys; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_EX); "
        "print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path / "run.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        other.stdout.readline()
        with pytest.raises(ValueError, match="another"), locked_directory(tmp_path, "plan.json"):
            pass
        other.kill()
    with locked_directory(tmp_path, "plan.json") as root:
        assert root == tmp_path


def test_a_directory_of_something_else_gets_no_lock(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with (
        pytest.raises(ValueError, match="choose a new directory"),
        locked_directory(tmp_path, "plan.json"),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
