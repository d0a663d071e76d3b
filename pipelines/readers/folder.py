"""Reader of a user's own images: one directory of visible, one of infrared ones, identities optional."""

import os

from mmgl_tf.pipelines.readers.held_out import held_out
from mmgl_tf.pipelines.readers.image_files import image_files_below, require_tree, visible_entries
from mmgl_tf.pipelines.records import INFRARED, MODALITIES, VISIBLE, DatasetSplits, Protocol, Sample, Split

VALIDATION_SHARE = 0.1

TREE = """  DIR/visible/*.jpg                 images of people, cut out; or, where identities are known,
  DIR/infrared/*.jpg                DIR/visible/<identity>/*.jpg and DIR/infrared/<identity>/*.jpg
                                    (one of the two may be missing where a method trains on the other alone)
  DIR/test/visible/<identity>/      optional: people to evaluate on, never trained on
  DIR/test/infrared/<identity>/"""
TEST = "test"

PROTOCOL = Protocol(name="plain", directions=("infrared_to_visible", "visible_to_infrared"))


def read_folder(root: str, train_ids: str = "trainval", name: str = "folder") -> DatasetSplits:
    """Reads `root`/visible and `root`/infrared, and `root`/test where there is one.

    Images lie either directly there (nobody is identified) or in one sub-directory per identity, where
    deeper directories are allowed and ignored. A directory name is one identity in both modalities; its
    number is its rank among all names. Cameras are unknown.

    One of visible and infrared may be missing: supervised pre-training takes any labelled images, classes as
    directories below visible. That is a problem in `problems`; what needs both refuses it.

    Choice: with train_ids="train" a tenth is held out for validation (VALIDATION_SHARE, by hash): of
    the identities, or of each modality's images where there are none (by path below `root`; pictures of
    one walk may then be on both sides). With "trainval" everything is trained on.

    Choice: without `root`/test the test images are all images that have an identity. That is right for a
    network that was trained elsewhere; evaluation says so where it was not, and so does check_data.

    Args:
        root: directory that holds visible and infrared.
        train_ids: "train" or "trainval".
        name: name of the data set in messages.

    Returns:
        train and validation: visible images, then infrared, each sorted by path. query: infrared test images,
        gallery: visible ones, by the plain protocol (whole gallery, each query counts). `problems` lists
        identities of one modality, images without identity beside identified ones, and identities that are
        in training and test.

    Raises:
        FileNotFoundError: `root` is no such tree.
        ValueError: visible or infrared is there and holds no image.
    """
    if train_ids not in ("train", "trainval"):
        raise ValueError(f"train_ids is {train_ids!r}, expected 'train' or 'trainval'.")
    absent = [m for m in (VISIBLE, INFRARED) if not os.path.isdir(os.path.join(root, MODALITIES[m]))]
    if not root or len(absent) == len(MODALITIES):
        require_tree(root, MODALITIES, TREE, name)
    files = {m: image_files_below(os.path.join(root, MODALITIES[m])) for m in (VISIBLE, INFRARED)}
    for modality, found in files.items():
        if not found and modality not in absent:
            raise ValueError(
                f"{os.path.join(root, MODALITIES[modality])} holds no JPEG, PNG, BMP, GIF or WebP image. "
                f"Expected:\n{TREE}"
            )
    test_root = os.path.join(root, TEST)
    test_files = {m: image_files_below(os.path.join(test_root, MODALITIES[m])) for m in (VISIBLE, INFRARED)}

    names = {m: {_identity_name(file) for file in found} - {None} for m, found in files.items()}
    test_names = {m: {_identity_name(file) for file in found} - {None} for m, found in test_files.items()}
    every = set().union(*names.values(), *test_names.values())
    identity_names = dict(enumerate(sorted(every)))
    number_of = {identity: number for number, identity in identity_names.items()}
    samples, tests = _samples(root, files, number_of), _samples(test_root, test_files, number_of)
    trained_names = {number_of[n]: n for n in sorted(names[VISIBLE] | names[INFRARED])}
    validated = _validation_samples(samples, trained_names, root) if train_ids == "train" else set()
    problems = [
        f"{root} has no directory {MODALITIES[m]}, only {', '.join(visible_entries(root)[:8])}: what needs "
        f"{MODALITIES[m]} images cannot use it."
        for m in absent
    ]
    problems += _identity_problems(samples, names) + _identity_problems(tests, test_names)
    both = sorted(set().union(*names.values()) & set().union(*test_names.values()))
    problems += [f"Identity {identity} is in training and in {TEST}." for identity in both]
    own_tests = bool(tests)
    tests = tests or tuple(s for s in samples if s.identity is not None)
    return DatasetSplits(
        name=name,
        root=root,
        train=Split("train", tuple(s for s in samples if s not in validated)),
        validation=Split("validation", tuple(s for s in samples if s in validated)),
        query=Split("query", tuple(s for s in tests if s.modality == INFRARED), PROTOCOL),
        gallery=Split("gallery", tuple(s for s in tests if s.modality == VISIBLE), PROTOCOL),
        problems=tuple(problems),
        tests_on_training=bool(tests) and not own_tests,
        identity_names=identity_names,
    )


def _samples(root, files, number_of):
    """Visible images, then infrared, each sorted by path."""
    return tuple(
        Sample(
            os.path.join(root, MODALITIES[modality], file),
            number_of.get(_identity_name(file)),
            None,
            modality,
        )
        for modality in (VISIBLE, INFRARED)
        for file in files[modality]
    )


def _identity_name(file):
    """First directory of a path below visible or infrared; None for an image directly there."""
    first, separator, _ = file.replace(os.sep, "/").partition("/")
    return first if separator else None


def _validation_samples(samples, identity_names, root):
    if identity_names:
        # Hashed by name: the numbers of all later identities shift when a directory is added.
        chosen = held_out(identity_names.values(), VALIDATION_SHARE, "folder identities")
        return {s for s in samples if s.identity is not None and identity_names[s.identity] in chosen}
    chosen = set()
    for modality in (VISIBLE, INFRARED):
        of_path = {
            os.path.relpath(s.path, root).replace(os.sep, "/"): s for s in samples if s.modality == modality
        }
        chosen |= {of_path[path] for path in held_out(of_path, VALIDATION_SHARE, "folder images")}
    return chosen


def _identity_problems(samples, names):
    problems = []
    if not names[VISIBLE] | names[INFRARED]:
        return problems
    for modality in (VISIBLE, INFRARED):
        loose = sum(s.identity is None for s in samples if s.modality == modality)
        if loose:
            problems.append(
                f"{MODALITIES[modality]} holds {loose} images outside any identity's directory, although "
                "other images have one; they count as people without identity."
            )
    both = all(any(s.modality == m for s in samples) for m in (VISIBLE, INFRARED))
    for modality, other in ((VISIBLE, INFRARED), (INFRARED, VISIBLE)) if both else ():
        problems += [
            f"Identity {identity} has no {MODALITIES[other]} image."
            for identity in sorted(names[modality] - names[other])
        ]
    return problems
