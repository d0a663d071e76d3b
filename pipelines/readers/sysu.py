"""Reader of SYSU-MM01 (Wu et al., ICCV 2017) and of any data set in its directory layout."""

import os

from mmgl_tf.pipelines.readers.image_files import image_files, require_tree, visible_entries
from mmgl_tf.pipelines.records import INFRARED, MODALITIES, VISIBLE, DatasetSplits, Protocol, Sample, Split

VISIBLE_CAMERAS = (1, 2, 4, 5)
INFRARED_CAMERAS = (3, 6)
ID_LISTS = {"train": "train_id.txt", "validation": "val_id.txt", "test": "test_id.txt"}

TREE = """  DIR/cam1/0001/0001.jpg ...  camera/identity/image; 1, 2, 4, 5 are visible, 3 and 6 infrared
  DIR/exp/train_id.txt        identity numbers, separated by commas
  DIR/exp/val_id.txt
  DIR/exp/test_id.txt"""

PROTOCOL = Protocol(
    name="sysu",
    trials=10,
    gallery_draw="per_identity_and_camera",
    shots=(1, 10),
    gallery_cameras={"all": VISIBLE_CAMERAS, "indoor": (1, 2)},
    # Cameras 2 and 3 stand at the same place; the published evaluation drops every camera-2 image, of
    # whatever identity, for a camera-3 query.
    excluded_cameras={3: (2,)},
    directions=("infrared_to_visible",),
    identity_once=True,
)

PUBLISHED = {
    "training visible": 22258,
    "training infrared": 11909,
    "query": 3803,
    "gallery all single-shot": 301,
    "gallery indoor single-shot": 112,
}


def read_sysu(root: str, train_ids: str = "trainval", name: str = "sysu") -> DatasetSplits:
    """Reads a tree in SYSU-MM01's layout.

    Cameras and identities are the names of directories. Every image of the identities in question is
    used; identities in none of the three lists are ignored (SYSU-MM01 has some).

    Choice: which identities to pre-train on, `train_ids`. "trainval" takes all 395 that fine-tuning
    uses too, so nobody is left to validate on and the validation split is empty (validating on
    identities that were trained on would measure memory). "train" holds the validation identities out.
    Test identities are in neither.

    Args:
        root: directory that holds cam1 ... cam6 and exp.
        train_ids: "train" or "trainval".
        name: name of the data set in messages; published numbers and terms are given for "sysu" only.

    Returns:
        train and validation: visible images, then infrared, each by identity, camera, file name.
        query: infrared test images by identity, camera (3, then 6), file name. gallery: all visible test
        images in the same order; each trial's draw from it is up to the protocol. `problems` lists
        missing cameras, identities without images or of one modality, and directories without images.

    Raises:
        FileNotFoundError: `root` is no such tree.
        ValueError: an identity list is malformed, lists overlap, or there is no image at all.
    """
    if train_ids not in ("train", "trainval"):
        raise ValueError(f"train_ids is {train_ids!r}, expected 'train' or 'trainval'.")
    require_tree(root, tuple(f"exp/{file}" for file in ID_LISTS.values()), TREE, name)
    lists = {kind: _read_identities(os.path.join(root, "exp", file)) for kind, file in ID_LISTS.items()}
    _require_disjoint(lists, root)

    problems: list[str] = []
    listed = set().union(*lists.values())
    images = {
        camera: _read_camera(root, camera, listed, problems)
        for camera in sorted(VISIBLE_CAMERAS + INFRARED_CAMERAS)
    }

    def gather(identities, cameras, modality):
        return tuple(
            Sample(path, identity, camera, modality)
            for identity in sorted(identities)
            for camera in cameras
            for path in images[camera].get(identity, ())
        )

    def both(identities):
        return gather(identities, VISIBLE_CAMERAS, VISIBLE) + gather(identities, INFRARED_CAMERAS, INFRARED)

    everything = both(listed)
    if not everything:
        raise ValueError(
            f"No image of the {len(listed)} identities listed in {os.path.join(root, 'exp')} was found. "
            f"Expected:\n{TREE}"
        )
    problems += _incomplete_identities(lists, everything)
    trained = lists["train"] | (lists["validation"] if train_ids == "trainval" else set())
    published = name == "sysu"
    return DatasetSplits(
        name=name,
        root=root,
        train=Split("train", both(trained)),
        validation=Split("validation", both(lists["validation"] - trained)),
        query=Split("query", gather(lists["test"], INFRARED_CAMERAS, INFRARED), PROTOCOL),
        gallery=Split("gallery", gather(lists["test"], VISIBLE_CAMERAS, VISIBLE), PROTOCOL),
        licence="SYSU-MM01 is for non-commercial research, on signed request to its authors."
        if published
        else "",
        citation="Wu et al., RGB-Infrared Cross-Modality Person Re-Identification, ICCV 2017."
        if published
        else "",
        published=PUBLISHED if published else {},
        problems=tuple(problems),
    )


def _read_identities(path):
    """The identity numbers of a list: integers between commas or blanks, on any number of lines."""
    identities: set[int] = set()
    with open(path, encoding="utf-8-sig") as file:  # utf-8-sig: some copies begin with a byte order mark
        for number, line in enumerate(file, start=1):
            for word in line.replace(",", " ").split():
                if not word.isdecimal():
                    raise ValueError(
                        f"{path}, line {number}: {word!r} is no identity number. Expected integers separated "
                        "by commas, such as 1,2,4."
                    )
                identities.add(int(word))
    return identities


def _require_disjoint(lists, root):
    for first, second in (("train", "test"), ("validation", "test"), ("train", "validation")):
        shared = sorted(lists[first] & lists[second])
        if shared:
            raise ValueError(
                f"{os.path.join(root, 'exp')}: {ID_LISTS[first]} and {ID_LISTS[second]} share "
                f"{len(shared)} identities ({_some(shared)}); an identity may be in one list only, or "
                "results would be on people seen in training. Restore the published lists."
            )


def _read_camera(root, camera, listed, problems):
    """identity -> sorted image paths of one camera; notes what is odd in `problems`."""
    directory = os.path.join(root, f"cam{camera}")
    if not os.path.isdir(directory):
        problems.append(f"cam{camera} is missing: no image of this camera is used.")
        return {}
    found: dict[int, list[str]] = {}
    for entry in visible_entries(directory):
        if not entry.isdecimal() or int(entry) not in listed:
            continue
        paths = [os.path.join(directory, entry, file) for file in image_files(os.path.join(directory, entry))]
        if not paths:
            problems.append(f"cam{camera}/{entry} holds no image.")
        found.setdefault(int(entry), []).extend(paths)
    return found


def _incomplete_identities(lists, samples):
    """Sentences on listed identities that lack images altogether or in one modality."""
    seen = {
        modality: {sample.identity for sample in samples if sample.modality == modality}
        for modality in (VISIBLE, INFRARED)
    }
    problems = []
    for kind, identities in lists.items():
        for identity in sorted(identities):
            missing = [MODALITIES[m] for m in (VISIBLE, INFRARED) if identity not in seen[m]]
            if len(missing) == 2:
                problems.append(f"Identity {identity} of {ID_LISTS[kind]} has no image.")
            elif missing:
                problems.append(f"Identity {identity} of {ID_LISTS[kind]} has no {missing[0]} image.")
    return problems


def _some(items, limit=10):
    return ", ".join(map(str, items[:limit])) + (", ..." if len(items) > limit else "")
