"""What a world looks like on disk: SYSU-MM01's tree, or RegDB's."""

import io
from pathlib import Path

import numpy as np
from scipy.io import savemat

from .dice import generator
from .spec import (
    INFRARED_CAMERAS,
    REGDB_FRAMES,
    REGDB_THERMAL_CAMERA,
    REGDB_TRIALS,
    REGDB_VISIBLE_CAMERA,
    VISIBLE_CAMERAS,
)

GALLERY_TRIALS = 10


def split_identities(spec):
    """Which identities train, validate and test, shuffled so that no split is a run of numbers.

    Args:
        spec: a `WorldSpec`.

    Returns:
        dict of "train", "val", "test" -> ascending list of identity numbers.
    """
    order = (generator(spec.seed, "split", spec.identities).permutation(spec.identities) + 1).tolist()
    first = spec.train_identities
    second = first + spec.validation_identities
    return {
        "train": sorted(order[:first]),
        "val": sorted(order[first:second]),
        "test": sorted(order[second:]),
    }


def images_of(spec, identity, training):
    """The files of one identity.

    Args:
        spec: a `WorldSpec`.
        identity: identity number, from 1.
        training: True for a training identity, which has more infrared frames.

    Returns:
        List of (path below the root, camera, frame).
    """
    if spec.layout == "regdb":
        return [
            (f"{folder}/{identity}/{letter}_{identity}_{frame}.bmp", camera, frame)
            for folder, letter, camera in (
                ("Visible", "v", REGDB_VISIBLE_CAMERA),
                ("Thermal", "t", REGDB_THERMAL_CAMERA),
            )
            for frame in range(1, REGDB_FRAMES + 1)
        ]
    return [
        (f"cam{camera}/{identity:04d}/{frame:04d}.jpg", camera, frame)
        for camera in spec.cameras
        for frame in range(1, _frames(spec, camera, training) + 1)
    ]


def _frames(spec, camera, training):
    return spec.infrared_train_frames if training and camera in INFRARED_CAMERAS else spec.frames


def all_images(spec):
    """The files of every identity: dict of identity -> list of (path below the root, camera, frame)."""
    training = set(split_identities(spec)["train"])
    return {
        identity: images_of(spec, identity, identity in training)
        for identity in range(1, spec.identities + 1)
    }


def write_lists(spec, root):
    """Writes the lists beside the images: exp/ for SYSU-MM01, idx/ for RegDB.

    Args:
        spec: a `WorldSpec`.
        root: directory of the world.
    """
    if spec.layout == "sysu":
        _write_sysu_lists(spec, Path(root) / "exp")
    else:
        _write_regdb_lists(spec, Path(root) / "idx")


def _write_sysu_lists(spec, folder):
    """exp/{train,val,test}_id.txt and .mat, and exp/rand_perm_cam.mat.

    A text list is one line of comma separated identity numbers, not zero padded; the .mat beside it holds
    them as `id`, a row [1, n].

    rand_perm_cam.mat holds `rand_perm_cam`, a 6 x 1 MATLAB cell array, one cell per camera. Each holds an
    n x 1 cell array over identity numbers (n = the largest identity number), and each of its cells a
    [10 trials, frames] matrix whose rows are permutations of the frame numbers 1 .. frames.
    After `scipy.io.loadmat`:

        cell = loadmat(path)["rand_perm_cam"]        # object [6, 1]
        permutations = cell[camera - 1][0].reshape(-1)  # object [n]
        frames = permutations[identity - 1][trial]      # uint16 [frames], 1-based
    """
    folder.mkdir(parents=True, exist_ok=True)
    splits = split_identities(spec)
    for name, identities in splits.items():
        (folder / f"{name}_id.txt").write_text(",".join(map(str, identities)) + "\n")
        _save_mat(folder / f"{name}_id.mat", {"id": np.array([identities], np.float64)})
    training = set(splits["train"])
    cameras = np.empty((len(spec.cameras), 1), object)
    for row, camera in enumerate(spec.cameras):
        cells = np.empty((spec.identities, 1), object)
        for identity in range(1, spec.identities + 1):
            rng = generator(spec.seed, "gallery", identity, camera)
            count = _frames(spec, camera, identity in training)
            rows = [rng.permutation(count) + 1 for _ in range(GALLERY_TRIALS)]
            cells[identity - 1, 0] = np.array(rows, np.uint16)
        cameras[row, 0] = cells
    _save_mat(folder / "rand_perm_cam.mat", {"rand_perm_cam": cameras})


def _save_mat(path, content):
    """Writes a .mat file without the date in its header, so that equal worlds are equal files."""
    buffer = io.BytesIO()
    savemat(buffer, content)
    header = b"MATLAB 5.0 MAT-file, drawn pedestrian world".ljust(116)
    path.write_bytes(header + buffer.getvalue()[116:])


def regdb_trial(spec, trial):
    """The identities that train and test in one trial: half and half.

    Args:
        spec: a `WorldSpec`.
        trial: 1 .. 10.

    Returns:
        (train, test): ascending lists of identity numbers, of equal length; of an odd number of identities
        one stays out.
    """
    order = (generator(spec.seed, "trial", trial, spec.identities).permutation(spec.identities) + 1).tolist()
    half = spec.identities // 2
    return sorted(order[:half]), sorted(order[half : 2 * half])


def _write_regdb_lists(spec, folder):
    """idx/{train,test}_{visible,thermal}_{1..10}.txt: lines of relative path, one blank, label from 0."""
    folder.mkdir(parents=True, exist_ok=True)
    for trial in range(1, REGDB_TRIALS + 1):
        for part, identities in zip(("train", "test"), regdb_trial(spec, trial), strict=True):
            for modality, camera in (("visible", REGDB_VISIBLE_CAMERA), ("thermal", REGDB_THERMAL_CAMERA)):
                lines = [
                    f"{path} {label}\n"
                    for label, identity in enumerate(identities)
                    for path, seen_by, _ in images_of(spec, identity, False)
                    if seen_by == camera
                ]
                (folder / f"{part}_{modality}_{trial}.txt").write_text("".join(lines))


def published_cameras(spec):
    """Cameras by modality: dict of "visible" and "infrared" -> tuple of camera numbers."""
    if spec.layout == "sysu":
        return {"visible": VISIBLE_CAMERAS, "infrared": INFRARED_CAMERAS}
    return {"visible": (REGDB_VISIBLE_CAMERA,), "infrared": (REGDB_THERMAL_CAMERA,)}
