import pytest

from mmgl_tf.pipelines import DATASETS
from mmgl_tf.pipelines.readers.folder import read_folder
from mmgl_tf.pipelines.records import INFRARED, VISIBLE


def write(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return str(root)


def test_flat(tmp_path):
    root = write(
        tmp_path, "visible/b.PNG", "visible/a.jpg", "infrared/z.bmp", "visible/.x.jpg", "visible/readme.md"
    )
    splits = read_folder(root)
    assert [(s.path, s.identity, s.camera, s.modality) for s in splits.train.samples] == [
        (f"{root}/visible/a.jpg", None, None, VISIBLE),
        (f"{root}/visible/b.PNG", None, None, VISIBLE),
        (f"{root}/infrared/z.bmp", None, None, INFRARED),
    ]
    assert splits.problems == () and not len(splits.query) and not len(splits.gallery)


def test_identities_are_ranks_of_directory_names(tmp_path):
    root = write(
        tmp_path,
        "visible/zoe/cam1/a.jpg",
        "visible/zoe/cam2/deep/a.jpg",
        "visible/adam/a.jpg",
        "infrared/zoe/a.jpg",
        "infrared/adam/x.jpg",
        "infrared/mia/a.jpg",
    )
    splits = read_folder(root)
    assert splits.identity_names == {0: "adam", 1: "mia", 2: "zoe"}
    assert [(s.identity, s.modality) for s in splits.train.samples] == [
        (0, VISIBLE), (2, VISIBLE), (2, VISIBLE), (0, INFRARED), (1, INFRARED), (2, INFRARED)
    ]  # fmt: skip
    assert splits.problems == ("Identity mia has no visible image.",)


def test_loose_images_beside_identities_are_a_problem(tmp_path):
    root = write(tmp_path, "visible/1/a.jpg", "visible/b.jpg", "infrared/1/a.jpg")
    splits = read_folder(root)
    (problem,) = splits.problems
    assert problem.startswith("visible holds 1 images outside any identity's directory")
    assert [s.identity for s in splits.train.samples] == [0, None, 0]


def test_identities_are_held_out_in_both_modalities(tmp_path):
    names = [f"{m}/p{i:02d}/{n}.jpg" for m in ("visible", "infrared") for i in range(30) for n in range(2)]
    root = write(tmp_path, *names)
    splits = read_folder(root, "train")
    held = splits.validation.identities()
    assert len(held) == 3 and not set(held) & set(splits.train.identities())
    assert {s.modality for s in splits.validation.samples} == {VISIBLE, INFRARED}
    assert len(splits.train) + len(splits.validation) == 120
    # A new directory that sorts first shifts the numbers, yet hardly the choice.
    held_names = {splits.identity_names[i] for i in held}
    splits = read_folder(write(tmp_path, "visible/a/0.jpg", "infrared/a/0.jpg"), "train")
    assert len(held_names & {splits.identity_names[i] for i in splits.validation.identities()}) >= 2


def test_images_are_held_out_where_nobody_is_identified(tmp_path):
    root = write(tmp_path, *[f"{m}/{i}.jpg" for m in ("visible", "infrared") for i in range(20)])
    splits = read_folder(root, "train")
    assert len(splits.validation.of_modality(VISIBLE)) == len(splits.validation.of_modality(INFRARED)) == 2
    assert not set(splits.train.samples) & set(splits.validation.samples)
    assert splits == read_folder(root, "train")
    assert len(read_folder(root).validation) == 0


def test_links_are_followed_and_loops_end(tmp_path):
    write(tmp_path, "elsewhere/a.jpg", "visible/x/a.jpg", "infrared/x/a.jpg")
    (tmp_path / "visible" / "y").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "visible" / "x" / "up").symlink_to(tmp_path / "visible" / "x")
    assert len(read_folder(str(tmp_path)).train.of_modality(VISIBLE)) == 2


def test_wrong_directory_shows_the_tree(tmp_path):
    write(tmp_path, "rgb/a.jpg", "visible/a.jpg")
    for root in ("", str(tmp_path / "nowhere"), str(tmp_path / "rgb/a.jpg"), str(tmp_path / "rgb")):
        with pytest.raises(FileNotFoundError, match=r"DIR/visible/<identity>/\*.jpg"):
            read_folder(root)
    with pytest.raises(FileNotFoundError, match=r"holds a.jpg; missing: visible, infrared"):
        read_folder(str(tmp_path / "rgb"))
    (tmp_path / "infrared").mkdir()
    with pytest.raises(ValueError, match="infrared holds no JPEG"):
        read_folder(str(tmp_path))


def test_one_modality_alone_is_read_and_is_one_problem(tmp_path):
    root = write(tmp_path, "visible/cat/1.jpg", "visible/dog/1.jpg", "visible/dog/2.jpg")
    splits = read_folder(root)
    assert [s.identity for s in splits.train.samples] == [0, 1, 1]
    assert {s.modality for s in splits.train.samples} == {VISIBLE}
    (problem,) = splits.problems  # and not one for each class
    assert (
        problem
        == f"{root} has no directory infrared, only visible: what needs infrared images cannot use it."
    )
    assert not len(splits.query)


def test_registered(tmp_path):
    from mmgl_tf.flags.config import Data, World

    root = write(tmp_path, "visible/a.jpg", "infrared/a.jpg")
    assert len(DATASETS["folder"](Data(dataset="folder", data_dir=root), World()).train) == 2


def test_people_below_test_are_for_evaluation_only(tmp_path):
    root = write(
        tmp_path,
        "visible/a/1.jpg",
        "infrared/a/1.jpg",
        "test/visible/c/1.jpg",
        "test/visible/b/1.jpg",
        "test/infrared/b/1.jpg",
    )
    splits = read_folder(root)
    assert splits.identity_names == {0: "a", 1: "b", 2: "c"}
    assert splits.train.identities() == (0,)
    assert [(s.identity, s.modality) for s in splits.query.samples] == [(1, INFRARED)]
    assert [(s.identity, s.modality) for s in splits.gallery.samples] == [(1, VISIBLE), (2, VISIBLE)]
    assert splits.query.protocol.gallery_draw == "all" and not splits.query.protocol.identity_once
    assert splits.problems == ("Identity c has no infrared image.",)


def test_without_test_people_everybody_identified_is_searched_for(tmp_path):
    root = write(tmp_path, "visible/a/1.jpg", "visible/loose.jpg", "infrared/a/1.jpg", "infrared/b/1.jpg")
    splits = read_folder(root)
    assert splits.query.identities() == (0, 1) and splits.tests_on_training
    assert [s.path for s in splits.gallery.samples] == [f"{root}/visible/a/1.jpg"]
    nobody = read_folder(write(tmp_path / "other", "visible/1.jpg", "infrared/1.jpg"))
    assert not nobody.tests_on_training and not nobody.query.samples


def test_a_person_in_training_and_test_is_a_problem(tmp_path):
    root = write(
        tmp_path, "visible/a/1.jpg", "infrared/a/1.jpg", "test/visible/a/2.jpg", "test/infrared/a/2.jpg"
    )
    assert read_folder(root).problems == ("Identity a is in training and in test.",)
