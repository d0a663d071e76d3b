import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import loadmat

from mmgl_tf.flags.config import Data, World
from mmgl_tf.pipelines.synthetic import (
    WorldSpec,
    draw_image,
    ensure_world,
    read_synthetic,
    synthesize,
    write_contact_sheet,
    write_world,
)
from mmgl_tf.pipelines.synthetic import spec as spec_module
from mmgl_tf.pipelines.synthetic.layouts import regdb_trial, split_identities
from mmgl_tf.pipelines.synthetic.write import read_spec
from tests.pipelines.small_world import REGDB, SPEC


@pytest.fixture(scope="module")
def sysu(tmp_path_factory):
    return write_world(SPEC, tmp_path_factory.mktemp("worlds") / "sysu", processes=1)


@pytest.fixture(scope="module")
def regdb(tmp_path_factory):
    return write_world(REGDB, tmp_path_factory.mktemp("worlds") / "regdb", processes=1)


def tree_hash(root):
    total = hashlib.sha256()
    for path in sorted(Path(root).rglob("*")):
        total.update(str(path.relative_to(root)).encode())
        if path.is_file():
            total.update(path.read_bytes())
    return total.hexdigest()


def identities_of(path):
    return [int(word) for word in path.read_text().strip().split(",")]


def test_the_tree_is_that_of_sysu_mm01(sysu):
    assert sorted(p.name for p in sysu.iterdir()) == sorted(
        [*(f"cam{c}" for c in range(1, 7)), "exp", "world.json"]
    )
    splits = {name: identities_of(sysu / "exp" / f"{name}_id.txt") for name in ("train", "val", "test")}
    assert {name: len(ids) for name, ids in splits.items()} == {"train": 5, "val": 2, "test": 3}
    assert sorted(i for ids in splits.values() for i in ids) == list(range(1, 11))
    for name, ids in splits.items():
        assert loadmat(sysu / "exp" / f"{name}_id.mat")["id"].tolist() == [ids]
    for camera in range(1, 7):
        for identity in range(1, 11):
            files = sorted(p.name for p in (sysu / f"cam{camera}" / f"{identity:04d}").iterdir())
            count = 3 if camera in (3, 6) and identity in splits["train"] else 2
            assert files == [f"{frame:04d}.jpg" for frame in range(1, count + 1)]


def test_identities_are_shuffled_over_the_splits():
    train = split_identities(WorldSpec())["train"]
    assert train != list(range(train[0], train[0] + 300))
    assert split_identities(WorldSpec()) != split_identities(WorldSpec(seed=1))


def test_files_are_jpeg_and_infrared_ones_have_three_equal_channels(sysu):
    for camera in range(1, 7):
        path = sysu / f"cam{camera}" / "0001" / "0001.jpg"
        assert path.read_bytes()[:3] == b"\xff\xd8\xff"
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert pixels.shape == (48, 24, 3)
        equal = bool((pixels == pixels[..., :1]).all())
        assert equal == (camera in (3, 6))


def test_files_hold_what_is_drawn_in_the_right_channel_order(sysu, regdb):
    drawn = draw_image(SPEC, 4, 2, 1).astype(float)
    found = cv2.imread(str(sysu / "cam2" / "0004" / "0001.jpg"), cv2.IMREAD_COLOR_RGB)
    assert np.abs(found.mean((0, 1)) - drawn.mean((0, 1))).max() < 2
    exact = cv2.imread(str(regdb / "Visible" / "4" / "v_4_7.bmp"), cv2.IMREAD_COLOR_RGB)
    assert (exact == draw_image(REGDB, 4, 1, 7)).all()


def test_gallery_permutations_are_read_as_the_official_evaluators_read_them(sysu):
    cell = loadmat(sysu / "exp" / "rand_perm_cam.mat")["rand_perm_cam"]
    assert cell.shape == (6, 1)
    train = identities_of(sysu / "exp" / "train_id.txt")
    distinct = set()
    for camera in range(1, 7):
        permutations = cell[camera - 1][0].reshape(-1)
        assert permutations.shape == (10,)
        for identity in range(1, 11):
            count = 3 if camera in (3, 6) and identity in train else 2
            frames = permutations[identity - 1]
            assert frames.shape == (10, count)
            for trial in range(10):
                assert sorted(frames[trial].tolist()) == list(range(1, count + 1))
            distinct.add(frames.tobytes())
    assert len(distinct) > 10


def test_the_files_do_not_depend_on_the_number_of_processes(sysu, tmp_path):
    assert tree_hash(write_world(SPEC, tmp_path / "two", processes=2)) == tree_hash(sysu)


def test_regdb_layout(regdb):
    for folder, letter in (("Visible", "v"), ("Thermal", "t")):
        for identity in range(1, 11):
            files = sorted(p.name for p in (regdb / folder / str(identity)).iterdir())
            assert files == sorted(f"{letter}_{identity}_{frame}.bmp" for frame in range(1, 11))
    assert len(list((regdb / "idx").iterdir())) == 40
    drawn = set()
    for trial in range(1, 11):
        people = {}
        for part in ("train", "test"):
            lists = []
            for modality in ("visible", "thermal"):
                text = (regdb / "idx" / f"{part}_{modality}_{trial}.txt").read_text()
                rows = [line.split(" ") for line in text.splitlines()]
                assert len(rows) == 50
                assert all((regdb / path).is_file() for path, _ in rows)
                assert sorted({int(label) for _, label in rows}) == list(range(5))
                lists.append({(int(label), Path(path).parent.name) for path, label in rows})
            assert lists[0] == lists[1]  # both modalities agree on every label
            people[part] = {name for _, name in lists[0]}
        assert not people["train"] & people["test"]
        drawn.add(tuple(sorted(people["train"])))
    assert len(drawn) > 5
    assert regdb_trial(REGDB, 1) == regdb_trial(REGDB, 1)


def test_regdb_pairs_share_the_pose(regdb):
    """The thermal figure is warm where the visible one stands: its brightness follows the same outline."""
    own, other = [], []
    for identity in range(1, 11):
        masks = []
        for frame in (1, 2):
            pixels = cv2.imread(str(regdb / "Thermal" / str(identity) / f"t_{identity}_{frame}.bmp"))[..., 0]
            masks.append(pixels.astype(float) - pixels.mean())
        visible = cv2.imread(str(regdb / "Visible" / str(identity) / f"v_{identity}_1.bmp")).astype(float)
        edges = np.hypot(*np.gradient(visible.mean(-1)))
        own.append(np.corrcoef(np.hypot(*np.gradient(masks[0])).ravel(), edges.ravel())[0, 1])
        other.append(np.corrcoef(np.hypot(*np.gradient(masks[1])).ravel(), edges.ravel())[0, 1])
    assert np.mean(own) > np.mean(other) + 0.05


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2},
        {"layout": "regdb"},
        {"train_identities": 6},
        {"validation_identities": 3},
        {"test_identities": 4},
        {"frames": 3},
        {"infrared_train_frames": 4},
        {"height": 50},
    ],
)
def test_each_parameter_changes_the_name(change):
    assert WorldSpec(**{**vars(SPEC), **change}).name != SPEC.name


def test_the_drawing_version_changes_the_name(monkeypatch):
    before = SPEC.name
    monkeypatch.setattr(spec_module, "DRAWING_VERSION", spec_module.DRAWING_VERSION + 1)
    assert SPEC.name != before


def test_from_config_takes_every_world_setting():
    world = World(1, "regdb", 5, 2, 3, 2, 3, 48)
    assert WorldSpec.from_config(world) == REGDB


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"height": 97}, "height is 97; expected an even number"),
        ({"layout": "market"}, "layout is 'market'"),
        ({"train_identities": 9999}, "at most 9999"),
        ({"frames": 0}, "frames is 0; expected an integer of at least 1"),
    ],
)
def test_impossible_worlds_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        WorldSpec(**{**vars(SPEC), **change})


def test_the_reader_draws_what_is_missing_and_reads_it(tmp_path):
    world = World(1, "sysu", 5, 2, 3, 2, 3, 48)
    splits = read_synthetic(Data(cache_dir=str(tmp_path), train_ids="train"), world)
    assert splits.name == "synthetic"
    assert not splits.published
    assert not splits.problems
    counts = [len(split.samples) for split in (splits.train, splits.validation, splits.query, splits.gallery)]
    assert counts == [5 * (8 + 6), 2 * (8 + 4), 3 * 4, 3 * 8]
    assert ensure_world(world, tmp_path) == tmp_path / "worlds" / SPEC.name
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"--cache_dir=.*file cannot be made \(Not a directory\)"):
        ensure_world(world, tmp_path / "file")
    paired = read_synthetic(Data(cache_dir=str(tmp_path), trial=2), World(1, "regdb", 5, 2, 3, 2, 3, 48))
    assert paired.name == "synthetic"
    assert len(paired.train.samples) == 100


def test_synthesize_writes_the_world_and_its_sheet(tmp_path):
    root, sheet = synthesize(World(1, "sysu", 2, 0, 2, 1, 1, 48), tmp_path / "mine")
    assert sheet == root / "contact_sheet.png"
    assert cv2.imread(str(sheet)).shape[2] == 3
    assert read_spec(root)[0].train_identities == 2


@pytest.mark.parametrize("name", ["sheet.png", "sheet.jpg"])
def test_a_contact_sheet_has_a_cell_for_every_row_and_column(regdb, tmp_path, name):
    sheet = cv2.imread(str(write_contact_sheet(regdb, tmp_path / name, identities=3, frames=2)))
    assert sheet.shape[0] > 3 * 48
    assert sheet.shape[1] > 8 * 24
    with pytest.raises(ValueError, match=r"ends in '\.gif'"):
        write_contact_sheet(SPEC, tmp_path / "sheet.gif")
