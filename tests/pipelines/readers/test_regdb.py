import pytest

from mmgl_tf.pipelines import DATASETS
from mmgl_tf.pipelines.readers.regdb import read_regdb
from mmgl_tf.pipelines.records import INFRARED, VISIBLE

TRAIN = (3, 8, 15, 20, 31, 44, 50, 61, 77, 412)
TEST = (1, 2)
SPELLING = {VISIBLE: "Visible", INFRARED: "Thermal"}


def write_tree(root, trial=1, train=TRAIN, test=TEST, images=2):
    (root / "idx").mkdir(parents=True, exist_ok=True)
    for part, identities in (("train", train), ("test", test)):
        for folder in ("Visible", "Thermal"):
            lines = [
                f"{folder}/{identity}/a man {n}.bmp {label}"
                for label, identity in enumerate(identities)
                for n in range(images)
            ]
            (root / "idx" / f"{part}_{folder.lower()}_{trial}.txt").write_text("\n".join(lines) + "\n")
    return str(root)


def test_order_and_contents(tmp_path):
    splits = read_regdb(write_tree(tmp_path))
    assert splits.train.identities() == TRAIN
    assert [s.modality for s in splits.train.samples] == [VISIBLE] * 20 + [INFRARED] * 20
    assert [(s.path, s.identity, s.camera, s.modality) for s in splits.query.samples] == [
        (f"{tmp_path}/Visible/{identity}/a man {n}.bmp", identity, None, VISIBLE)
        for identity in TEST
        for n in range(2)
    ]
    assert {s.modality for s in splits.gallery.samples} == {INFRARED}
    assert splits.problems == ()
    assert splits.query.protocol.directions == ("visible_to_infrared", "infrared_to_visible")
    assert splits.published["training visible"] == 2060 and splits.published["identities"] == 412


def test_a_fifth_is_held_out_by_trial(tmp_path):
    held = {}
    for trial in (1, 2, 3, 4):
        root = write_tree(tmp_path, trial)
        splits = read_regdb(root, trial, "train")
        held[trial] = splits.validation.identities()
        assert len(held[trial]) == 2
        assert sorted(splits.train.identities() + held[trial]) == list(TRAIN)
        assert {s.modality for s in splits.validation.samples} == {VISIBLE, INFRARED}
        assert splits == read_regdb(root, trial, "train")
        assert len(read_regdb(root, trial).validation) == 0
    assert len(set(held.values())) > 1  # by trial


def test_trial_chooses_the_lists(tmp_path):
    write_tree(tmp_path, 1)
    root = write_tree(tmp_path, 2, train=(9, 10), test=(11,))
    assert read_regdb(root, 2).train.identities() == (9, 10)
    with pytest.raises(FileNotFoundError, match=r"missing: idx/train_visible_3.txt"):
        read_regdb(root, 3)


def test_wrong_directory_shows_the_tree(tmp_path):
    for root in ("", str(tmp_path / "nowhere"), str(tmp_path)):
        with pytest.raises(FileNotFoundError, match=r"DIR/idx/train_visible_\{t\}.txt"):
            read_regdb(root)


def replace_line(path, number, text):
    lines = path.read_text().splitlines()
    lines[number - 1] = text
    path.write_text("\n".join(lines))


@pytest.mark.parametrize("line", ["Visible/3/a.bmp", "Visible/3/a.bmp x", "a.bmp 0", "Visible/jane/a.bmp 0"])
def test_malformed_line_names_file_and_line(tmp_path, line):
    root = write_tree(tmp_path)
    replace_line(tmp_path / "idx" / "train_visible_1.txt", 4, line)
    splits = read_regdb(root)
    (problem,) = splits.problems
    assert problem.startswith(f"idx/train_visible_1.txt, line 4: {line!r}")
    assert len(splits.train.of_modality(VISIBLE)) == 19


def test_label_gap_is_a_problem(tmp_path):
    root = write_tree(tmp_path)
    for folder in ("visible", "thermal"):
        path = tmp_path / "idx" / f"train_{folder}_1.txt"
        path.write_text(path.read_text().replace("bmp 4\n", "bmp 400\n"))
    (problem,) = read_regdb(root).problems
    assert "4 is missing (largest: 400, 10 labels)" in problem


def test_labels_must_agree_between_modalities(tmp_path):
    root = write_tree(tmp_path)
    path = tmp_path / "idx" / "test_thermal_1.txt"
    path.write_text(path.read_text().replace("bmp 0", "bmp 7").replace("bmp 1", "bmp 0"))
    problems = read_regdb(root).problems
    assert len(problems) == 2 and all(problem.startswith("test lists: label") for problem in problems)


def test_identity_of_one_modality_is_a_problem(tmp_path):
    root = write_tree(tmp_path)
    path = tmp_path / "idx" / "test_thermal_1.txt"
    path.write_text("\n".join(path.read_text().splitlines()[:2]))
    assert read_regdb(root).problems == ("Identity 2 of the test lists has no infrared image.",)


def test_overlap_of_training_and_test_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"share 1 identities \(8\)"):
        read_regdb(write_tree(tmp_path, test=(1, 8)))


def test_empty_list_is_refused(tmp_path):
    root = write_tree(tmp_path)
    (tmp_path / "idx" / "test_thermal_1.txt").write_text("\n\n")
    with pytest.raises(ValueError, match=r"test_thermal_1.txt names no image"):
        read_regdb(root)


def test_registered(tmp_path):
    from mmgl_tf.flags.config import Data, World

    root = write_tree(tmp_path, 2)
    splits = DATASETS["regdb"](Data(dataset="regdb", data_dir=root, trial=2), World())
    assert splits.train.identities() == TRAIN
