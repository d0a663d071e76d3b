"""Which images are in the gallery: the draws of SYSU-MM01, or everything."""

import random
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

DRAWS = ("seeded", "official")


class Setting(NamedTuple):
    """One cell of a protocol's table.

    Attributes:
        search: key of the protocol's `gallery_cameras`, "all" or "indoor"; "" where it has none.
        shots: images drawn of each identity from each camera; 0 = the whole gallery.
        direction: "infrared_to_visible" or "visible_to_infrared".
    """

    search: str
    shots: int
    direction: str


def settings_of(protocol) -> list[Setting]:
    """The cells that a protocol defines, as its tables have them.

    Args:
        protocol: a `mmgl_tf.pipelines.records.Protocol`.

    Returns:
        SYSU-MM01: all and indoor search, each with 1 and 10 shots. RegDB: both directions. Else one cell.
    """
    if protocol.gallery_draw == "all":
        return [Setting("", 0, direction) for direction in protocol.directions]
    return [
        Setting(search, shots, direction)
        for direction in protocol.directions
        for search in protocol.gallery_cameras
        for shots in protocol.shots
    ]


def gallery_draws(
    identities,
    cameras,
    protocol,
    search=None,
    shots=None,
    draw="seeded",
    trials=None,
    permutations: Mapping | None = None,
) -> list[np.ndarray]:
    """The gallery of each trial.

    "seeded" is the draw of AGW, DDAG and CAJ, and of MMGL's multi-shot test: Python's generator is seeded
    with the trial number from 0, then, identities ascending and for each the search's cameras in the
    protocol's order, one image is chosen, or `shots` are sampled without replacement (all, in a drawn
    order, where there are fewer; the originals stop there). So "1 shot" is an image per identity and
    camera, and an indoor gallery is no part of the all-search gallery of the same trial.

    "official" is the draw that SYSU-MM01's authors publish: the first `shots` frames of the trial's row.
    Frame n is the n-th image by file name: the data set numbers them from 1 without gaps, and where images
    were lost the counts differ, which is an error.

    Args:
        identities: int [n] of the gallery split, in its order; images of one identity and camera are
            ordered by file name.
        cameras: int [n].
        protocol: a `mmgl_tf.pipelines.records.Protocol`.
        search: key of `protocol.gallery_cameras`; None = the first.
        shots: images per identity and camera, from 1; None = the protocol's first.
        draw: "seeded" or "official".
        trials: number of draws; None = the protocol's.
        permutations: for "official", camera -> identity -> int [trials, frames], frames from 1, as
            `mmgl_tf.pipelines.readers.gallery_permutations.read_permutations` gives them.

    Returns:
        int64 index arrays, one per trial. A protocol without a draw has one, of everything (RegDB's trials
        are other splits, each with a network of its own).

    Raises:
        ValueError: an unknown search or draw, nothing to draw from, or permutations that do not fit.
    """
    identities, cameras = np.asarray(identities, np.int64), np.asarray(cameras, np.int64)
    if protocol.gallery_draw == "all":
        return [np.arange(len(identities))]
    if protocol.gallery_draw != "per_identity_and_camera":
        raise ValueError(
            f"The protocol's gallery_draw is {protocol.gallery_draw!r}; expected 'all' or "
            "'per_identity_and_camera'."
        )
    search = next(iter(protocol.gallery_cameras)) if search is None else search
    shots = protocol.shots[0] if shots is None else shots
    trials = protocol.trials if trials is None else trials
    if search not in protocol.gallery_cameras:
        raise ValueError(
            f"search is {search!r}; the protocol {protocol.name!r} has {', '.join(protocol.gallery_cameras)}."
        )
    if shots < 1 or trials < 1:
        raise ValueError(f"shots is {shots} and trials is {trials}; expected 1 or more of each.")
    if draw not in DRAWS:
        raise ValueError(f"draw is {draw!r}; expected one of {', '.join(DRAWS)}.")
    groups = _images_of(identities, cameras, protocol.gallery_cameras[search])
    if not groups:
        raise ValueError(
            f"No image of the gallery is from the cameras {protocol.gallery_cameras[search]} of the "
            f"{search!r} search; the gallery has cameras {np.unique(cameras).tolist()}."
        )
    if draw == "official":
        return [_official(groups, shots, trial, permutations) for trial in range(trials)]
    return [_seeded(groups, shots, trial) for trial in range(trials)]


def _images_of(identities, cameras, searched):
    """(identity, camera) -> positions in their order; identities ascending, cameras in the given order."""
    groups = {}
    order = np.argsort(identities, kind="stable")
    present, starts = np.unique(identities[order], return_index=True)
    for identity, positions in zip(present.tolist(), np.split(order, starts[1:]), strict=False):
        for camera in searched:
            found = positions[cameras[positions] == camera]
            if len(found):
                groups[identity, camera] = found
    return groups


def _seeded(groups, shots, trial):
    generator = random.Random(trial)
    chosen = []
    for positions in groups.values():
        # The originals call `choice` for one image; `sample` of one consumes the generator alike.
        places = generator.sample(range(len(positions)), min(shots, len(positions)))
        chosen.extend(positions[places].tolist())
    return np.array(chosen, np.int64)


def _official(groups, shots, trial, permutations):
    if permutations is None:
        raise ValueError(
            "draw is 'official', but no permutations are given. Read exp/rand_perm_cam.mat of the data set "
            "with mmgl_tf.pipelines.readers.gallery_permutations.read_permutations, or use draw='seeded'."
        )
    chosen = []
    for (identity, camera), positions in groups.items():
        rows = permutations.get(camera, {}).get(identity)
        there, frames = (0, 0) if rows is None else np.shape(rows)
        if rows is None or frames != len(positions):
            raise ValueError(
                f"Camera {camera}, identity {identity}: the permutations hold {frames} frames, the gallery "
                f"{len(positions)} images. Images and exp/rand_perm_cam.mat are not of one data set, or "
                "images are missing; use draw='seeded'."
            )
        if trial >= there:
            raise ValueError(
                f"Camera {camera}, identity {identity}: trial {trial + 1} is asked for, but the "
                f"permutations hold {there} trials; take no more, or use draw='seeded'."
            )
        chosen.extend(positions[np.asarray(rows[trial][:shots], np.int64) - 1].tolist())
    return np.array(chosen, np.int64)
