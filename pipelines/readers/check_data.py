"""What is in a data set, beside what is published, with every problem in one list."""

import hashlib
import os
import textwrap
from collections import defaultdict
from dataclasses import dataclass

from mmgl_tf.pipelines.images.unreadable import Progress, find_unreadable
from mmgl_tf.pipelines.records import INFRARED, MODALITIES, VISIBLE, DatasetSplits, Sample

TESTS_ON_TRAINING = (
    "Query and gallery are the identified images of train and validation, as there are no test people: right "
    "for a network that was trained elsewhere; what is trained here knows them."
)


@dataclass(frozen=True)
class Row:
    """Images of one split, modality and camera.

    Attributes:
        split: "train", "validation", "query" or "gallery".
        modality: VISIBLE or INFRARED.
        camera: number, or None where unknown.
        images: how many.
        identities: how many different ones; 0 where nobody is identified.
    """

    split: str
    modality: int
    camera: int | None
    images: int
    identities: int


@dataclass(frozen=True)
class Report:
    """The outcome of `check_data`.

    Attributes:
        name: name of the data set.
        root: its directory.
        rows: counts by split, modality and camera.
        published: (label, found, published number) for each number that is published.
        problems: one sentence each, the reader's first; empty when all is well.
        images_checked: whether every image was decoded.
        notes: one sentence each on what is no problem, but should be known.
        licence: terms of use.
        citation: whom to cite.
    """

    name: str
    root: str
    rows: tuple[Row, ...]
    published: tuple[tuple[str, int, int], ...]
    problems: tuple[str, ...]
    images_checked: bool
    notes: tuple[str, ...] = ()
    licence: str = ""
    citation: str = ""


def check_data(splits: DatasetSplits, check_images: bool = True, progress: Progress | None = None) -> Report:
    """Counts images and gathers every problem.

    Args:
        splits: what a reader returned.
        check_images: whether to decode every image and compare contents (SYSU-MM01: a minute on one
            core); if not, only the files' existence is checked.
        progress: called as progress(done, total, seconds) while images are decoded.

    Returns:
        The report. It never raises for what is wrong with the data.
    """
    samples = list(dict.fromkeys(sample for split in splits.splits() for sample in split.samples))
    paths = [sample.path for sample in samples]
    problems = list(splits.problems)
    if check_images:
        unreadable = find_unreadable(paths, progress)
    else:
        unreadable = {i: "no such file" for i, path in enumerate(paths) if not os.path.isfile(path)}
    problems += [f"{paths[position]}: {reason}." for position, reason in unreadable.items()]
    problems += _repeated(splits, unreadable={paths[position] for position in unreadable}, read=check_images)
    return Report(
        name=splits.name,
        root=splits.root,
        rows=tuple(_rows(splits)),
        published=tuple(_beside_published(splits)),
        problems=tuple(problems),
        images_checked=check_images,
        notes=(TESTS_ON_TRAINING,) if splits.tests_on_training else (),
        licence=splits.licence,
        citation=splits.citation,
    )


def format_report(report: Report) -> str:
    """The report as text: a table of counts, the published numbers, then the problems as one list."""
    lines = [f"{report.name} in {report.root}", ""]
    table = [("split", "modality", "camera", "images", "identities")]
    for row in report.rows:
        camera = "-" if row.camera is None else str(row.camera)
        identities = f"{row.identities:,}" if row.identities else "-"
        table.append((row.split, MODALITIES[row.modality], camera, f"{row.images:,}", identities))
    lines += _aligned(table, right=(2, 3, 4))
    if report.published:
        table = [("published numbers", "found", "published", "")]
        for label, found, published in report.published:
            table.append((label, f"{found:,}", f"{published:,}", "" if found == published else "differs"))
        lines += ["", *_aligned(table, right=(1, 2))]
    lines += [line for note in report.notes for line in ("", *textwrap.wrap(note, 110))]
    lines.append("")
    if report.problems:
        lines.append(f"{len(report.problems)} problem{'s' if len(report.problems) > 1 else ''}:")
        lines += [f"  {number}. {problem}" for number, problem in enumerate(report.problems, start=1)]
    else:
        how = "every image was decoded" if report.images_checked else "images were not decoded"
        lines.append(f"No problem found ({how}).")
    lines += [
        f"{label}: {text}" for label, text in (("Terms", report.licence), ("Cite", report.citation)) if text
    ]
    return "\n".join(lines)


def _rows(splits):
    for split in splits.splits():
        for (modality, camera), images in split.counts().items():
            identities = {
                sample.identity
                for sample in split.samples
                if (sample.modality, sample.camera) == (modality, camera) and sample.identity is not None
            }
            yield Row(split.name, modality, camera, images, len(identities))


def _beside_published(splits):
    """(label, found, published); the training numbers count the validation identities too."""
    training = splits.train.samples + splits.validation.samples
    found = {
        "training visible": sum(sample.modality == VISIBLE for sample in training),
        "training infrared": sum(sample.modality == INFRARED for sample in training),
        "query": len(splits.query),
        "gallery": len(splits.gallery),
        "identities": len({s.identity for split in splits.splits() for s in split.samples}),
    }
    if splits.gallery.protocol is not None:
        # Single-shot: one image of each identity from each camera.
        for mode, cameras in splits.gallery.protocol.gallery_cameras.items():
            drawn = {(s.identity, s.camera) for s in splits.gallery.samples if s.camera in cameras}
            found[f"gallery {mode} single-shot"] = len(drawn)
    return [(label, found[label], number) for label, number in splits.published.items()]


def _repeated(splits, unreadable, read):
    """Sentences on files that are listed twice, and on copies of a file that pass for different people."""
    uses: dict[str, list[tuple[str, Sample]]] = defaultdict(list)
    # Where training images are those to test on, every one of them is in two splits, on purpose.
    listed = (splits.train, splits.validation) if splits.tests_on_training else splits.splits()
    for split in listed:
        for sample in split.samples:
            uses[sample.path].append((split.name, sample))
    problems = [
        f"{path} is listed {len(found)} times ({', '.join(sorted({name for name, _ in found}))})."
        for path, found in uses.items()
        if len(found) > 1
    ]
    if not read:
        return problems
    by_size: dict[int, list[str]] = defaultdict(list)
    for path in uses:
        if path not in unreadable:
            by_size[os.path.getsize(path)].append(path)
    by_content: dict[bytes, list[str]] = defaultdict(list)
    for paths in by_size.values():
        if len(paths) > 1:
            for path in paths:
                with open(path, "rb") as file:
                    by_content[hashlib.sha256(file.read()).digest()].append(path)
    for paths in by_content.values():
        # The same picture in two frames of one walk is harmless; one of two people, or of both modalities, is
        # not. Training and test images are of different people, so this finds leaks between them as well.
        people = {(sample.identity, sample.modality) for path in paths for _, sample in uses[path]}
        if len(people) > 1:
            problems.append("Same content: " + ", ".join(paths) + ".")
    return problems


def _aligned(table, right):
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = []
    for number, row in enumerate(table):
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
        if number == 0:
            lines.append("  ".join("-" * width for width in widths).rstrip())
    return lines
