"""Versions appear whole or not at all."""

import pytest

from mmgl_tf.serving.versions import new_version, version_directory, versions


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
