import pytest

from mmgl_tf.pipelines import DATASETS
from mmgl_tf.pipelines.readers.sysu import read_sysu
from mmgl_tf.pipelines.records import INFRARED, VISIBLE

TRAIN, VALIDATION, TEST = (1, 12), (3,), (5, 40)


def write_tree(root, lists=(TRAIN, VALIDATION, TEST), frames=2):
    """Empty files: the reader looks at names only."""
    (root / "exp").mkdir(parents=True)
    for name, identities in zip(("train", "val", "test"), lists, strict=True):
        (root / "exp" / f"{name}_id.txt").write_text(",".join(map(str, identities)) + "\n")
    for camera in range(1, 7):
        for identity in {i for ids in lists for i in ids} | {99}:  # 99 is in no list
            directory = root / f"cam{camera}" / f"{identity:04d}"
            directory.mkdir(parents=True)
            for frame in range(1, frames + 1):
                (directory / f"{frame:04d}.jpg").touch()
    return str(root)


def short(samples):
    return [(s.identity, s.camera, s.modality, s.path.rsplit("/", 1)[1]) for s in samples]


def test_order_and_contents(tmp_path):
    splits = read_sysu(write_tree(tmp_path))
    assert short(splits.query.samples) == [
        (identity, camera, INFRARED, f"{frame:04d}.jpg")
        for identity in (5, 40)
        for camera in (3, 6)
        for frame in (1, 2)
    ]
    assert short(splits.gallery.samples) == [
        (identity, camera, VISIBLE, f"{frame:04d}.jpg")
        for identity in (5, 40)
        for camera in (1, 2, 4, 5)
        for frame in (1, 2)
    ]
    assert splits.train.identities() == (1, 3, 12)
    assert [s.modality for s in splits.train.samples] == [VISIBLE] * 24 + [INFRARED] * 12
    assert splits.problems == ()
    assert splits.query.protocol is splits.gallery.protocol
    assert splits.query.protocol.gallery_cameras == {"all": (1, 2, 4, 5), "indoor": (1, 2)}
    assert splits.query.protocol.excluded_cameras == {3: (2,)}


def test_sample_paths_lead_to_files_of_their_identity_and_camera(tmp_path):
    for sample in read_sysu(write_tree(tmp_path)).train.samples:
        assert f"cam{sample.camera}/{sample.identity:04d}/" in sample.path
        open(sample.path).close()


def test_train_ids(tmp_path):
    root = write_tree(tmp_path)
    both, held = read_sysu(root, "trainval"), read_sysu(root, "train")
    assert (both.train.identities(), len(both.validation)) == ((1, 3, 12), 0)
    assert (held.train.identities(), held.validation.identities()) == ((1, 12), (3,))
    for splits in (both, held):
        seen = set(splits.train.identities()) | set(splits.validation.identities())
        assert not seen & set(splits.query.identities() + splits.gallery.identities())
    with pytest.raises(ValueError, match="train_ids is 'all', expected"):
        read_sysu(root, "all")


def test_nothing_depends_on_lengths_of_names(tmp_path):
    root = write_tree(tmp_path / "a" / "cam9" / "7777")
    for camera in (1, 3):
        directory = tmp_path / "a" / "cam9" / "7777" / f"cam{camera}" / "0001"
        for name in ("a long name.JPEG", "x.Png", "y.bmp", ".hidden.jpg", "notes.txt", "Thumbs.db"):
            (directory / name).touch()
        directory.rename(directory.parent / "1")  # unpadded
    samples = [s for s in read_sysu(root).train.samples if s.identity == 1 and s.camera == 1]
    names = [s.path.rsplit("/", 1)[1] for s in samples]
    assert names == ["0001.jpg", "0002.jpg", "a long name.JPEG", "x.Png", "y.bmp"]


@pytest.mark.parametrize("lists", [((1, 5), (3,), (5,)), ((1,), (5,), (5,)), ((1, 3), (3,), (5,))])
def test_overlapping_lists_are_refused(tmp_path, lists):
    with pytest.raises(ValueError, match=r"share 1 identities \([35]\)"):
        read_sysu(write_tree(tmp_path, lists))


def test_malformed_list_names_file_and_line(tmp_path):
    root = write_tree(tmp_path)
    (tmp_path / "exp" / "val_id.txt").write_text("3\n4,x5\n")
    with pytest.raises(ValueError, match=r"val_id\.txt, line 2: 'x5'"):
        read_sysu(root)


def test_empty_lists_and_several_lines_are_allowed(tmp_path):
    root = write_tree(tmp_path)
    (tmp_path / "exp" / "val_id.txt").write_text("")
    (tmp_path / "exp" / "train_id.txt").write_text("\ufeff1,\n 12 3,\n", encoding="utf-8")
    splits = read_sysu(root, "train")
    assert (splits.train.identities(), len(splits.validation)) == ((1, 3, 12), 0)


def test_wrong_directory_shows_the_tree(tmp_path):
    for root in ("", str(tmp_path / "nowhere"), str(tmp_path)):
        with pytest.raises(FileNotFoundError) as error:
            read_sysu(root)
        assert "DIR/cam1/0001/0001.jpg" in str(error.value) and "--data_dir" in str(error.value)
    (tmp_path / "exp").mkdir()
    (tmp_path / "exp" / "train_id.txt").write_text("1")
    with pytest.raises(FileNotFoundError, match=r"missing: exp/val_id.txt, exp/test_id.txt"):
        read_sysu(str(tmp_path))


def test_no_image_at_all(tmp_path):
    (tmp_path / "exp").mkdir()
    for name in ("train", "val", "test"):
        (tmp_path / "exp" / f"{name}_id.txt").write_text("")
    with pytest.raises(ValueError, match="No image of the 0 identities"):
        read_sysu(str(tmp_path))


def test_every_problem_is_collected(tmp_path):
    root = write_tree(tmp_path)
    for camera in (3, 6):  # identity 12 loses its infrared images, 40 everything
        for image in (tmp_path / f"cam{camera}" / "0012").iterdir():
            image.unlink()
    for camera in range(1, 7):
        for image in (tmp_path / f"cam{camera}" / "0040").iterdir():
            image.unlink()
        (tmp_path / f"cam{camera}" / "0040").rmdir()
    (tmp_path / "cam5").rename(tmp_path / "elsewhere")
    problems = read_sysu(root).problems
    assert problems == (
        "cam3/0012 holds no image.",
        "cam5 is missing: no image of this camera is used.",
        "cam6/0012 holds no image.",
        "Identity 12 of train_id.txt has no infrared image.",
        "Identity 40 of test_id.txt has no image.",
    )


def test_published_numbers_belong_to_the_published_data(tmp_path):
    root = write_tree(tmp_path)
    assert read_sysu(root).published == {
        "training visible": 22258,
        "training infrared": 11909,
        "query": 3803,
        "gallery all single-shot": 301,
        "gallery indoor single-shot": 112,
    }
    drawn = read_sysu(root, name="synthetic")
    assert (drawn.name, drawn.published, drawn.licence) == ("synthetic", {}, "")


def test_registered(tmp_path):
    from mmgl_tf.flags.config import Data, World

    data = Data(dataset="sysu", data_dir=write_tree(tmp_path), train_ids="train")
    assert DATASETS["sysu"](data, World()).validation.identities() == (3,)
