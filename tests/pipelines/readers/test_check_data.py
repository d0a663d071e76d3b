import os

import numpy as np
import pytest
from PIL import Image

from mmgl_tf.pipelines.readers.check_data import check_data, format_report
from mmgl_tf.pipelines.readers.folder import read_folder
from mmgl_tf.pipelines.readers.regdb import read_regdb
from mmgl_tf.pipelines.readers.sysu import read_sysu
from mmgl_tf.pipelines.records import INFRARED, VISIBLE


def draw(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 3, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def sysu(tmp_path):
    (tmp_path / "exp").mkdir()
    for name, identities in (("train", "1,2"), ("val", "3"), ("test", "4,5")):
        (tmp_path / "exp" / f"{name}_id.txt").write_text(identities)
    seed = 0
    for camera in range(1, 7):
        for identity in range(1, 6):
            if (camera, identity) == (2, 5):
                continue
            for frame in range(1, 3):
                seed += 1
                draw(tmp_path / f"cam{camera}" / f"{identity:04d}" / f"{frame:04d}.png", seed)
    return tmp_path


def test_counts(sysu):
    report = check_data(read_sysu(str(sysu), "train"))
    assert [(r.split, r.modality, r.camera, r.images, r.identities) for r in report.rows] == [
        *[("train", VISIBLE, camera, 4, 2) for camera in (1, 2, 4, 5)],
        *[("train", INFRARED, camera, 4, 2) for camera in (3, 6)],
        *[("validation", VISIBLE, camera, 2, 1) for camera in (1, 2, 4, 5)],
        *[("validation", INFRARED, camera, 2, 1) for camera in (3, 6)],
        *[("query", INFRARED, camera, 4, 2) for camera in (3, 6)],
        ("gallery", VISIBLE, 1, 4, 2),
        ("gallery", VISIBLE, 2, 2, 1),
        ("gallery", VISIBLE, 4, 4, 2),
        ("gallery", VISIBLE, 5, 4, 2),
    ]
    assert report.problems == ()


@pytest.mark.parametrize("train_ids", ["train", "trainval"])
def test_beside_published(sysu, train_ids):
    """The training numbers are those of train and validation identities together, whatever is held out."""
    assert check_data(read_sysu(str(sysu), train_ids)).published == (
        ("training visible", 24, 22258),
        ("training infrared", 12, 11909),
        ("query", 8, 3803),
        ("gallery all single-shot", 7, 301),
        ("gallery indoor single-shot", 3, 112),
    )
    assert check_data(read_sysu(str(sysu), name="drawn")).published == ()


def test_every_problem_in_one_list(sysu):
    whole = (sysu / "cam1" / "0001" / "0001.png").read_bytes()
    (sysu / "cam1" / "0002" / "0001.png").write_bytes(whole)  # another identity
    (sysu / "cam1" / "0001" / "0002.png").write_bytes(whole)  # same identity: harmless
    (sysu / "cam5" / "0001" / "0002.png").write_bytes((sysu / "cam5" / "0001" / "0001.png").read_bytes())
    (sysu / "cam3" / "0004" / "0001.png").write_bytes(b"")
    (sysu / "cam3" / "0004" / "0002.png").write_bytes(b"hello")
    for camera in (3, 6):
        for frame in (1, 2):
            os.remove(sysu / f"cam{camera}" / "0003" / f"000{frame}.png")
    calls = []
    report = check_data(read_sysu(str(sysu)), progress=lambda *call: calls.append(call))
    assert calls[-1][0] == calls[-1][1] == 54
    assert report.problems[:3] == (
        "cam3/0003 holds no image.",
        "cam6/0003 holds no image.",
        "Identity 3 of val_id.txt has no infrared image.",
    )
    empty, text, same = report.problems[3:]
    assert empty == f"{sysu}/cam3/0004/0001.png: empty (0 bytes)."
    assert text.startswith(f"{sysu}/cam3/0004/0002.png: truncated or no image")
    copies = ", ".join(f"{sysu}/cam1/{name}.png" for name in ("0001/0001", "0001/0002", "0002/0001"))
    assert same == f"Same content: {copies}."
    text = format_report(report)
    assert "6 problems:" in text and all(problem in text for problem in report.problems)


def test_without_decoding_only_missing_files_are_found(tmp_path):
    (tmp_path / "idx").mkdir()
    for part, identity in (("train", 1), ("test", 2)):
        for folder in ("Visible", "Thermal"):
            draw(tmp_path / folder / str(identity) / "a.bmp", identity + (folder == "Visible") * 10)
            lines = f"{folder}/{identity}/a.bmp 0\n{folder}/{identity}/b.bmp 0\n"
            (tmp_path / "idx" / f"{part}_{folder.lower()}_1.txt").write_text(lines)
    (tmp_path / "Thermal" / "2" / "a.bmp").write_bytes(b"hello")
    splits = read_regdb(str(tmp_path))
    quick, thorough = check_data(splits, check_images=False), check_data(splits)
    missing = [f"{tmp_path}/{f}/{i}/b.bmp: no such file." for i in (1, 2) for f in ("Visible", "Thermal")]
    assert sorted(quick.problems) == sorted(missing)
    assert len(thorough.problems) == 5
    assert ("identities", 2, 412) in quick.published
    assert ("gallery", 2, 2060) in quick.published


def test_image_in_training_and_test_is_a_problem(sysu):
    whole = (sysu / "cam1" / "0001" / "0001.png").read_bytes()
    (sysu / "cam4" / "0004" / "0002.png").write_bytes(whole)
    (problem,) = check_data(read_sysu(str(sysu))).problems
    assert problem.startswith("Same content") and "cam4/0004/0002.png" in problem


def test_file_listed_twice_is_a_problem(sysu):
    import dataclasses

    splits = read_sysu(str(sysu))
    again = dataclasses.replace(splits.query, samples=splits.query.samples + splits.query.samples[:1])
    (problem,) = check_data(dataclasses.replace(splits, query=again), check_images=False).problems
    assert "is listed 2 times (query)" in problem


def test_report_is_an_aligned_table(sysu):
    text = format_report(check_data(read_sysu(str(sysu)), check_images=False))
    lines = text.splitlines()
    assert lines[0] == f"sysu in {sysu}"
    assert lines[2:5] == [
        "split    modality  camera  images  identities",
        "-------  --------  ------  ------  ----------",
        "train    visible        1       6           3",
    ]
    assert "training visible               24     22,258  differs" in lines
    assert "No problem found (images were not decoded)." in lines
    assert lines[-1].startswith("Cite: Wu et al.")


def test_a_folder_without_test_people_is_a_note_and_no_problem(tmp_path):
    """Each training image is then in two splits on purpose; what is wrong otherwise is told as ever."""
    for seed, name in enumerate(("visible/a/0", "visible/b/0", "infrared/a/0", "infrared/b/0")):
        draw(tmp_path / f"{name}.png", seed)
    report = check_data(read_folder(str(tmp_path)))
    assert report.problems == () and len(report.notes) == 1
    assert [(row.split, row.images) for row in report.rows][2:] == [("query", 2), ("gallery", 2)]
    text = format_report(report)
    assert "Query and gallery are the identified images of train and validation" in text
    assert "No problem found" in text
    draw(tmp_path / "infrared" / "b" / "1.png", 0)  # the same picture as visible/a/0: still told
    (problem,) = check_data(read_folder(str(tmp_path))).problems
    assert problem.startswith("Same content")
    for seed, name in enumerate(("visible/c/0", "infrared/c/0")):
        draw(tmp_path / "test" / f"{name}.png", 10 + seed)
    assert check_data(read_folder(str(tmp_path))).notes == ()


def test_report_of_unidentified_people(tmp_path):
    for seed, modality in enumerate(("visible", "infrared")):
        draw(tmp_path / modality / "a.png", seed)
    report = check_data(read_folder(str(tmp_path)))
    assert [(r.camera, r.images, r.identities) for r in report.rows] == [(None, 1, 0)] * 2
    assert "train  visible        -       1           -" in format_report(report)
    assert "No problem found (every image was decoded)." in format_report(report)
