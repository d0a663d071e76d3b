"""Versions appear whole or not at all."""

import os
import shutil

import pytest

from mmgl_tf.serving import version_directories as versions_module
from mmgl_tf.serving.version_directories import new_version, only_writer, version_directory, versions


def write(model, keep=3, text="x"):
    with new_version(model, keep) as (number, directory):
        (directory / "saved_model.pb").write_text(text)
    return number


def test_numbers_go_on_from_the_largest_and_the_newest_stay(tmp_path):
    model = tmp_path / "export" / "mmgl"
    assert [write(model, keep=2) for _ in range(3)] == [1, 2, 3]
    assert versions(model) == [2, 3]
    (model / "10").mkdir()
    (model / "notes").mkdir()
    (model / "11-old").mkdir()
    assert write(model, keep=2) == 11
    assert versions(model) == [10, 11]
    assert (model / "notes").is_dir() and (model / "11-old").is_dir(), "not a version, not ours to remove"
    assert [path.name for path in model.parent.iterdir()] == ["mmgl"]


def test_a_version_is_invisible_until_it_is_whole(tmp_path):
    model = tmp_path / "mmgl"
    write(model)
    with new_version(model, 1) as (number, directory):
        assert (number, directory.name) == (2, "2")
        assert directory.parent.parent == tmp_path and directory.parent.name.startswith(".")
        assert versions(model) == [1]
        (directory / "saved_model.pb").write_text("y")
    assert versions(model) == [2]
    assert (model / "2" / "saved_model.pb").read_text() == "y"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_versions_and_nothing_else(tmp_path, error):
    model = tmp_path / "mmgl"
    write(model)
    with pytest.raises(error), new_version(model, 1) as (_, directory):
        (directory / "saved_model.pb").write_text("half")
        raise error
    assert versions(model) == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["mmgl"]


def test_two_exports_at_once_do_not_mix(tmp_path):
    model = tmp_path / "mmgl"
    with (
        pytest.raises(ValueError, match=r"version 1 of .* appeared while"),
        new_version(model, 1) as (_, first),
    ):
        (first / "saved_model.pb").write_text("late")
        write(model, text="early")
    assert (model / "1" / "saved_model.pb").read_text() == "early"


def test_the_newest_whole_version_is_found(tmp_path):
    with pytest.raises(ValueError, match="holds no exported model"):
        version_directory(tmp_path)
    for number in ("2", "9", "10"):
        (tmp_path / number).mkdir()
    for number in ("2", "9"):
        (tmp_path / number / "saved_model.pb").touch()
    assert version_directory(tmp_path) == tmp_path / "9"
    assert version_directory(tmp_path / "2") == tmp_path / "2"


def test_what_only_looks_like_a_version_is_none(tmp_path, capsys):
    """It neither counts nor is removed, but the next number is above it: a server may read it as one."""
    model = tmp_path / "mmgl"
    for name in ("0005", "7", "007", "9223372036854775808", "\u0663"):
        (model / name).mkdir(parents=True)
        (model / name / "saved_model.pb").touch()
    (model / "8").touch()
    (model / "1").symlink_to("7")
    assert versions(model) == [7]
    assert version_directory(model) == model / "7"
    before = {path.name for path in model.iterdir()}
    assert [write(model, keep=1), write(model, keep=1)] == [9, 10]
    assert versions(model) == [10]
    assert {path.name for path in model.iterdir()} == before - {"7"} | {"10"}
    assert not capsys.readouterr().out
    (model / "9223372036854775807").mkdir()
    with pytest.raises(ValueError, match="largest version there can be"):
        write(model)


def test_an_old_version_that_stays_is_a_note(tmp_path, monkeypatch, capsys):
    model = tmp_path / "mmgl"
    write(model)
    remove = shutil.rmtree

    def busy(path, ignore_errors=False):
        if not ignore_errors:
            raise OSError("busy")
        remove(path, ignore_errors=True)

    monkeypatch.setattr(shutil, "rmtree", busy)
    assert write(model, keep=1) == 2
    assert versions(model) == [1, 2]
    assert "mmgl/1 stays, as it cannot be removed (busy)" in capsys.readouterr().out


def test_one_export_at_a_time(tmp_path):
    model = tmp_path / "mmgl"
    with only_writer(model):
        with pytest.raises(ValueError, match="another process is exporting to"), only_writer(model):
            pass
        with only_writer(tmp_path / "other"):
            pass
    with only_writer(model):
        pass
    assert versions(model) == []


def test_what_a_killed_export_left_is_removed(tmp_path):
    left = [".writing-mmgl-abcdef_1", ".writing-mmgl-x-abcdef_1", ".writing-mmgl-abcdef_1-abcdef_1"]
    for name in left:
        (tmp_path / name / "4").mkdir(parents=True)
    with only_writer(tmp_path / "mmgl"), new_version(tmp_path / "mmgl", 1):
        found = {path.name for path in tmp_path.glob(".writing-*")}
        assert len(found) == 3 and found > set(left[1:]), "other models' exports may be at work"
    with only_writer(tmp_path / "mmgl"), new_version(tmp_path / "mmgl", 1):
        with pytest.raises(ValueError, match="another process"), only_writer(tmp_path / "mmgl"):
            pass
        assert len(list(tmp_path.glob(".writing-*"))) == 3, "one that is refused removes nothing"


def test_without_locks_nothing_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(versions_module, "fcntl", None)
    (tmp_path / ".writing-mmgl-abcdef_1").mkdir()
    with only_writer(tmp_path / "mmgl"):
        assert (tmp_path / ".writing-mmgl-abcdef_1").is_dir()


def test_a_version_is_on_disk_before_it_is_seen(tmp_path, monkeypatch):
    """A server that restarts after a power failure must not find a version of empty files."""
    calls, rename = [], os.rename
    monkeypatch.setattr(os, "fsync", lambda handle: calls.append(os.fstat(handle).st_ino))
    monkeypatch.setattr(os, "rename", lambda *paths: (calls.append("rename"), rename(*paths)))
    with new_version(tmp_path / "mmgl", 1) as (_, directory):
        (directory / "variables").mkdir()
        (directory / "variables" / "data").write_text("x")
        (directory / "saved_model.pb").write_text("x")
        wanted = {path.stat().st_ino for path in (directory, *directory.rglob("*"))}
    place = calls.index("rename")
    assert set(calls[:place]) == wanted
    assert calls[place + 1 :] == [(tmp_path / "mmgl").stat().st_ino]
