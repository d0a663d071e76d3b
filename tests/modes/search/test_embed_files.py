import os

import pytest

from mmgl_tf.modes.search.embed_files import UNKNOWN, escaped, list_images, modality_of
from mmgl_tf.pipelines.records import INFRARED, VISIBLE


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 3)
    return root


def paths(files):
    return [file.path for file in files]


@pytest.mark.parametrize(
    ("path", "modality"),
    [
        ("a/visible/1/b.jpg", VISIBLE),
        ("a/Infrared/b.jpg", INFRARED),
        ("RegDB/Thermal/1/b.bmp", INFRARED),
        ("SYSU/cam3/0001/0001.jpg", INFRARED),
        ("SYSU/cam6/0001/0001.jpg", INFRARED),
        ("SYSU/cam4/0001/0001.jpg", VISIBLE),
        ("infrared/people/visible/b.jpg", VISIBLE),  # the nearest decides
        ("people/infrared.jpg", UNKNOWN),  # a file's own name says nothing
        ("people/cam7/b.jpg", UNKNOWN),
        ("people/invisible/b.jpg", UNKNOWN),
    ],
)
def test_directories_tell_the_modality(path, modality):
    assert modality_of(os.path.join("top", path)) == modality


def test_a_directory_is_read_at_any_depth_in_order_of_paths(tmp_path):
    root = touch(tmp_path / "visible", "b/2.PNG", "a/z/1.jpg", "c.bmp", "notes.txt", ".hidden.jpg")
    files = list_images(str(root), "auto", True)
    assert paths(files) == [str(root / name) for name in ("a/z/1.jpg", "b/2.PNG", "c.bmp")]
    assert {(file.size, file.modality) for file in files} == {(3, VISIBLE)}
    assert files[0].modified == os.stat(files[0].path).st_mtime_ns


def test_a_list_keeps_its_order_and_every_name(tmp_path, monkeypatch):
    monkeypatch.chdir(touch(tmp_path, "b.jpg", " a.jpg", "#c é.jpg"))
    lines = ["﻿b.jpg", "", " a.jpg\r", "#c é.jpg", "gone.jpg", "b.jpg"]
    (tmp_path / "list.txt").write_text("\n".join(lines), newline="")
    with open(tmp_path / "list.txt", "ab") as file:
        file.write(b"\n\xff.jpg\nzero\0byte.jpg")
    files = list_images("list.txt", "infrared", True)
    expected = ["b.jpg", " a.jpg", "#c é.jpg", "gone.jpg", "b.jpg", "\udcff.jpg", "zero\0byte.jpg"]
    assert paths(files) == expected
    assert [file.size for file in files] == [3, 3, 3, -1, 3, -1, -1]
    assert {file.modality for file in files} == {INFRARED}


def test_one_image_is_a_list_of_one(tmp_path):
    touch(tmp_path, "a.jpg")
    assert paths(list_images(str(tmp_path / "a.jpg"), "visible", True)) == [str(tmp_path / "a.jpg")]


def test_a_modality_that_is_needed_and_not_told_is_asked_for(tmp_path):
    root = touch(tmp_path, *(f"people/{number}.jpg" for number in range(7)), "visible/8.jpg")
    with pytest.raises(ValueError, match=r"7 of 8 images.*0\.jpg.* and 2 more.*--image_modality=visible"):
        list_images(str(root), "auto", True)
    files = list_images(str(root), "auto", False)
    assert [file.modality for file in files] == [UNKNOWN] * 7 + [VISIBLE]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "--images is missing"),
        ("nowhere", "no such file"),
        ("empty", "holds no JPEG"),
        ("a.csv", "neither a directory nor an image"),
        ("nothing.txt", "lists no image"),
    ],
)
def test_no_images_is_an_error_that_says_what_was_expected(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(touch(tmp_path, "a.csv", "empty/readme.md"))
    (tmp_path / "nothing.txt").write_text("\n \n")
    with pytest.raises(ValueError, match=message):
        list_images(name, "auto", False)


def test_escaping_can_be_undone():
    names = ["a\tb", "a\\tb", "a\\\tb", "line\nfeed\r", "plain"]
    written = [escaped(name) for name in names]
    assert len(set(written)) == len(names)
    assert not any(sign in "".join(written) for sign in "\t\n\r")
    assert written[:2] == ["a\\tb", "a\\\\tb"]
