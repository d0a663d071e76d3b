"""SYSU-MM01's published gallery permutations, exp/rand_perm_cam.mat."""

import os

import numpy as np

FILE = os.path.join("exp", "rand_perm_cam.mat")
KEY = "rand_perm_cam"


def read_permutations(root: str) -> dict[int, dict[int, np.ndarray]]:
    """Reads which frames each trial draws from each camera and identity.

    The file is plain MATLAB data (a cell array over cameras of cell arrays over identity numbers); nothing
    in it is executed or unpickled.

    Args:
        root: directory of a data set in SYSU-MM01's layout.

    Returns:
        camera -> identity -> int64 [trials, frames], each row a permutation of 1 .. frames; a trial draws
        the first ones. Identities without images of a camera are left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no MATLAB file (version 5 to 7.2), or holds something else.
    """
    from scipy.io import loadmat

    path = os.path.join(root, FILE)
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"{path} does not exist. Expected the gallery permutations that SYSU-MM01's authors publish in "
            "exp/ beside the identity lists. Copy it there, or draw seeded galleries instead."
        )
    try:
        content = loadmat(path)
    except Exception as error:  # SciPy raises half a dozen kinds for damaged files
        raise ValueError(
            f"{path} cannot be read as a MATLAB file (version 5 to 7.2): {error}. "
            "Copy the published file again."
        ) from error
    if KEY not in content:
        names = ", ".join(sorted(name for name in content if not name.startswith("__"))) or "nothing"
        raise ValueError(f"{path} holds {names}; expected {KEY}. Copy the published file again.")
    permutations = {}
    for camera, cell in enumerate(_cells(content[KEY], path, "one cell per camera"), start=1):
        permutations[camera] = {}
        # Some copies wrap each camera's cells in a cell of their own.
        while isinstance(cell, np.ndarray) and cell.dtype == object and cell.size == 1:
            cell = cell.reshape(-1)[0]
        if isinstance(cell, np.ndarray) and cell.dtype != object:
            cell = _wrapped(cell)  # a single identity, unwrapped by the loop above
        for identity, rows in enumerate(
            _cells(cell, path, f"one cell per identity of camera {camera}"), start=1
        ):
            rows = np.asarray(rows)
            if rows.size == 0:
                continue
            permutations[camera][identity] = _checked(rows, f"{path}, camera {camera}, identity {identity}")
    return permutations


def _cells(value, path, expected):
    if not isinstance(value, np.ndarray) or value.dtype != object:
        raise ValueError(
            f"{path}: {KEY} holds {getattr(value, 'dtype', type(value))} values; expected a cell array with "
            f"{expected}. Copy the published file again."
        )
    return value.reshape(-1)


def _wrapped(rows):
    cell = np.empty(1, object)
    cell[0] = rows
    return cell


def _checked(rows, where):
    numeric = rows.ndim == 2 and rows.dtype.kind in "iuf"
    if not numeric or (np.sort(rows, axis=1) != np.arange(1, rows.shape[1] + 1)).any():
        raise ValueError(
            f"{where}: {rows.dtype} of shape {rows.shape}; expected [trials, frames], each row a permutation "
            "of 1 .. frames. Copy the published file again."
        )
    return rows.astype(np.int64)
