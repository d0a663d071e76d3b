import numpy as np
import pytest
from scipy.io import loadmat, savemat

from mmgl_tf.pipelines.readers.gallery_permutations import read_permutations
from mmgl_tf.pipelines.synthetic.layouts import split_identities, write_lists
from tests.pipelines.small_world import SPEC


@pytest.fixture
def root(tmp_path):
    write_lists(SPEC, tmp_path)
    return tmp_path


def test_the_drawn_world(root):
    permutations = read_permutations(str(root))
    assert sorted(permutations) == [1, 2, 3, 4, 5, 6]
    training = split_identities(SPEC)["train"]
    raw = loadmat(root / "exp" / "rand_perm_cam.mat")["rand_perm_cam"]
    for camera, by_identity in permutations.items():
        assert sorted(by_identity) == list(range(1, SPEC.identities + 1))
        for identity, rows in by_identity.items():
            frames = SPEC.infrared_train_frames if camera in (3, 6) and identity in training else SPEC.frames
            assert (rows.dtype, rows.shape) == (np.int64, (10, frames))
            np.testing.assert_array_equal(np.sort(rows), np.tile(np.arange(1, frames + 1), (10, 1)))
            np.testing.assert_array_equal(rows, raw[camera - 1, 0].reshape(-1)[identity - 1])


def cells(*values):
    array = np.empty((len(values), 1), object)
    for row, value in enumerate(values):
        array[row, 0] = value
    return array


def write(root, value, name="rand_perm_cam"):
    (root / "exp").mkdir(exist_ok=True)
    savemat(root / "exp" / "rand_perm_cam.mat", {name: value})
    return str(root)


ROWS = np.array([[2, 1, 3], [3, 2, 1]], np.float64)


def test_identities_without_images_of_a_camera_are_left_out(tmp_path):
    value = cells(cells(np.zeros((0, 0)), ROWS), cells(ROWS[:, :0], np.zeros((10, 0))))
    permutations = read_permutations(write(tmp_path, value))
    assert {camera: sorted(found) for camera, found in permutations.items()} == {1: [2], 2: []}
    np.testing.assert_array_equal(permutations[1][2], ROWS)


def test_one_identity_or_wrapped_cameras(tmp_path):
    value = cells(cells(ROWS), cells(cells(ROWS, ROWS)))
    permutations = read_permutations(write(tmp_path, value))
    assert {camera: sorted(found) for camera, found in permutations.items()} == {1: [1], 2: [1, 2]}


def test_bad_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"rand_perm_cam\.mat does not exist"):
        read_permutations(str(tmp_path))
    write(tmp_path, ROWS, "other")
    with pytest.raises(ValueError, match="holds other; expected rand_perm_cam"):
        read_permutations(str(tmp_path))
    with pytest.raises(ValueError, match="one cell per camera"):
        read_permutations(write(tmp_path, ROWS))
    for wrong in (ROWS - 1, ROWS[:, :2], np.ones((2, 3)), np.array(["a", "b"])):
        with pytest.raises(ValueError, match=r"camera 1, identity 2: .* expected .trials, frames."):
            read_permutations(write(tmp_path, cells(cells(ROWS, wrong))))
    (tmp_path / "exp" / "rand_perm_cam.mat").write_bytes(b"not a MATLAB file" * 20)
    with pytest.raises(ValueError, match="cannot be read as a MATLAB file"):
        read_permutations(str(tmp_path))
