"""Reader of RegDB (Nguyen et al., Sensors 2017) and of any data set in its directory layout."""

import os

from mmgl_tf.pipelines.readers.held_out import held_out
from mmgl_tf.pipelines.readers.image_files import require_tree
from mmgl_tf.pipelines.records import INFRARED, MODALITIES, VISIBLE, DatasetSplits, Protocol, Sample, Split

# The published spelling of the two modalities, in lists and directories.
SPELLING = {VISIBLE: "visible", INFRARED: "thermal"}
VALIDATION_SHARE = 0.2

TREE = """  DIR/Visible/1/*.bmp               modality/identity number/image
  DIR/Thermal/1/*.bmp
  DIR/idx/train_visible_{t}.txt     trial t = 1 ... 10; each line: path below DIR, blank, label
  DIR/idx/train_thermal_{t}.txt
  DIR/idx/test_visible_{t}.txt
  DIR/idx/test_thermal_{t}.txt"""

PROTOCOL = Protocol(
    name="regdb",
    trials=10,
    gallery_draw="all",
    directions=("visible_to_infrared", "infrared_to_visible"),
)

PUBLISHED = {
    "training visible": 2060,
    "training infrared": 2060,
    "query": 2060,
    "gallery": 2060,
    "identities": 412,
}


def read_regdb(root: str, trial: int = 1, train_ids: str = "trainval", name: str = "regdb") -> DatasetSplits:
    """Reads one of the ten random splits of a tree in RegDB's layout.

    The identity of an image is the number of its directory, which is the same in both modalities and
    all trials; the lists' labels count the identities of one list and are only checked against it. The
    images have no camera. Trials differ in their training identities, so results are averaged over runs.

    Choice: RegDB has no validation identities. With train_ids="train", a fifth of the training
    identities is held out (VALIDATION_SHARE; by hash of trial and identity, so that a trial always holds
    out the same ones); with "trainval" all of them are trained on and the validation split is empty.

    Args:
        root: directory that holds Visible, Thermal and idx.
        trial: number of the split, 1 to 10.
        train_ids: "train" or "trainval".
        name: name of the data set in messages; published numbers and terms are given for "regdb" only.

    Returns:
        train and validation: visible images, then infrared, in the order of the lists. query: the
        visible test list. gallery: the infrared one; the protocol names the reverse direction too.
        `problems` lists malformed lines (file and line number), labels that do not fit the directories,
        training labels that are not 0, 1, 2 ..., and identities of one modality.

    Raises:
        FileNotFoundError: `root` is no such tree.
        ValueError: no line of a list can be read, or training and test lists share identities.
    """
    if train_ids not in ("train", "trainval"):
        raise ValueError(f"train_ids is {train_ids!r}, expected 'train' or 'trainval'.")
    files = {
        (part, modality): f"idx/{part}_{SPELLING[modality]}_{trial}.txt"
        for part in ("train", "test")
        for modality in (VISIBLE, INFRARED)
    }
    require_tree(root, tuple(files.values()), TREE, f"{name}, trial {trial}")

    problems: list[str] = []
    lines = {key: _read_list(root, file, key[1], problems) for key, file in files.items()}
    for part in ("train", "test"):
        problems += _label_problems(part, {m: lines[part, m] for m in (VISIBLE, INFRARED)})
    samples = {key: tuple(sample for sample, _ in found) for key, found in lines.items()}
    _require_disjoint(samples, root, trial)

    trained = samples["train", VISIBLE] + samples["train", INFRARED]
    validated: set[int] = set()
    if train_ids == "train":
        validated = held_out({s.identity for s in trained}, VALIDATION_SHARE, f"regdb trial {trial}")
    published = name == "regdb"
    return DatasetSplits(
        name=name,
        root=root,
        train=Split("train", tuple(s for s in trained if s.identity not in validated)),
        validation=Split("validation", tuple(s for s in trained if s.identity in validated)),
        query=Split("query", samples["test", VISIBLE], PROTOCOL),
        gallery=Split("gallery", samples["test", INFRARED], PROTOCOL),
        licence="RegDB (Dongguk body-based person recognition database) is for research and education, on "
        "request to its authors."
        if published
        else "",
        citation="Nguyen et al., Person Recognition System Based on a Combination of Body Images from "
        "Visible Light and Thermal Cameras, Sensors 2017."
        if published
        else "",
        published=PUBLISHED if published else {},
        problems=tuple(problems),
    )


def _read_list(root, file, modality, problems):
    """[(sample, label)] of one list; lines that cannot be read become problems."""
    found = []
    with open(os.path.join(root, file), encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            path, _, label = line.strip().rpartition(" ")  # from the right: paths may hold blanks
            parts = [part for part in path.strip().replace("\\", "/").split("/") if part not in ("", ".")]
            if not label.isdecimal() or len(parts) < 2 or not parts[-2].isdecimal():
                problems.append(
                    f"{file}, line {number}: {line.strip()!r} is not '<modality>/<identity number>/<image> "
                    "<label>'; the line is ignored."
                )
                continue
            found.append((Sample(os.path.join(root, *parts), int(parts[-2]), None, modality), int(label)))
    if not found:
        raise ValueError(f"{os.path.join(root, file)} names no image. Expected:\n{TREE}")
    return found


def _label_problems(part, by_modality):
    """Sentences on labels that do not match identities, or identities that lack a modality."""
    problems = []
    identity_of: dict[int, int] = {}
    label_of: dict[int, int] = {}
    reported: set[tuple[int, int]] = set()
    for found in by_modality.values():
        for sample, label in found:
            pair = (sample.identity, label)
            fits = (
                identity_of.setdefault(label, sample.identity) == sample.identity
                and label_of.setdefault(sample.identity, label) == label
            )
            if not fits and pair not in reported:
                reported.add(pair)
                problems.append(
                    f"{part} lists: label {label} stands for identity {identity_of[label]}, yet identity "
                    f"{sample.identity} carries it too or has another (first at {sample.path})."
                )
    labels = sorted(identity_of)
    if part == "train" and labels != list(range(len(labels))):
        gap = next(i for i, label in enumerate(labels) if label != i)
        problems.append(
            f"train lists: labels must be 0, 1, 2 ... without a gap, but {gap} is missing (largest: "
            f"{labels[-1]}, {len(labels)} labels)."
        )
    seen = {m: {sample.identity for sample, _ in found} for m, found in by_modality.items()}
    for modality, other in ((VISIBLE, INFRARED), (INFRARED, VISIBLE)):
        problems += [
            f"Identity {identity} of the {part} lists has no {MODALITIES[other]} image."
            for identity in sorted(seen[modality] - seen[other])
        ]
    return problems


def _require_disjoint(samples, root, trial):
    trained, tested = (
        {s.identity for m in (VISIBLE, INFRARED) for s in samples[part, m]} for part in ("train", "test")
    )
    shared = sorted(trained & tested)
    if shared:
        shown = ", ".join(map(str, shared[:10])) + (", ..." if len(shared) > 10 else "")
        raise ValueError(
            f"{os.path.join(root, 'idx')}: training and test lists of trial {trial} share {len(shared)} "
            f"identities ({shown}); an identity may be in one of them only, or results would be on people "
            "seen in training. Restore the published lists."
        )
