"""Which images --images names, and the modality of each."""

import os
from pathlib import Path
from typing import NamedTuple

from mmgl_tf.pipelines.readers.image_files import image_files_below, is_image
from mmgl_tf.pipelines.readers.sysu import INFRARED_CAMERAS, VISIBLE_CAMERAS
from mmgl_tf.pipelines.records import INFRARED, MODALITIES, VISIBLE

UNKNOWN = -1
_NAMED = 5  # files that a message lists
# Directories that tell a modality, in lower case: our own, RegDB's, SYSU-MM01's.
_TELLING = (
    {"visible": VISIBLE, "infrared": INFRARED, "thermal": INFRARED}
    | {f"cam{camera}": VISIBLE for camera in VISIBLE_CAMERAS}
    | {f"cam{camera}": INFRARED for camera in INFRARED_CAMERAS}
)


class ImageFile(NamedTuple):
    """An image to embed, as it was when it was listed.

    Attributes:
        path: as it is written into results; can be opened from the current directory.
        size: in bytes; -1 where there is no such file.
        modified: time of the last change in nanoseconds.
        modality: VISIBLE, INFRARED, or UNKNOWN (-1).
    """

    path: str
    size: int
    modified: int
    modality: int


def list_images(images, image_modality, two_streams):
    """The images that --images names.

    Args:
        images: a directory (every JPEG, PNG, BMP, GIF and WebP file in it at any depth, sorted by path), an
            image, or a text file (.txt, UTF-8) with one path a line, in that order; relative ones begin at
            the current directory.
        image_modality: "visible" or "infrared" for all, or "auto": see `modality_of`.
        two_streams: whether the model needs to know the modality.

    Returns:
        list of `ImageFile`.

    Raises:
        ValueError: nothing is there, or the modality of an image is needed and cannot be told.
    """
    told = {"visible": VISIBLE, "infrared": INFRARED}.get(image_modality)
    files = []
    for path in _paths(images):
        try:
            status = os.stat(path)
            state = (status.st_size, status.st_mtime_ns)
        except (OSError, ValueError):  # a listed name may hold a zero byte
            state = (-1, 0)
        files.append(ImageFile(path, *state, modality_of(path) if told is None else told))
    unknown = [file.path for file in files if file.modality == UNKNOWN]
    if two_streams and unknown:
        raise ValueError(
            f"the model has a stem for each modality, and {len(unknown)} of {len(files)} images do not tell "
            f"theirs: {named(unknown)}. Put them below a directory named visible or infrared, or say "
            "--image_modality=visible or infrared, one call for each."
        )
    return files


def modality_of(path):
    """The modality that the directories of a path tell; the one nearest to the file decides.

    Directories named visible, infrared or thermal tell it, in any case, and SYSU-MM01's cam1 to cam6.

    Args:
        path: of an image; its own name says nothing.

    Returns:
        VISIBLE, INFRARED or UNKNOWN.
    """
    for part in reversed(Path(os.path.abspath(path)).parts[:-1]):
        if part.lower() in _TELLING:
            return _TELLING[part.lower()]
    return UNKNOWN


def modality_name(modality):
    """ "visible", "infrared" or "unknown"."""
    return "unknown" if modality == UNKNOWN else MODALITIES[modality]


def named(paths):
    """Some paths, for a sentence; quoted, since a name may hold anything."""
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(map(ascii, paths[:_NAMED])) + more


def escaped(text):
    """A text for one field of a TSV file or one line: \\t, \\n, \\r and \\\\ are written out."""
    for sign, written in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(sign, written)
    return text


def _paths(images):
    if not images:
        raise ValueError(
            "--images is missing: give a directory, an image, or a text file with one path a line"
        )
    if os.path.isdir(images):
        found = [os.path.join(images, name) for name in image_files_below(images)]
        if not found:
            raise ValueError(f"--images={images} holds no JPEG, PNG, BMP, GIF or WebP image")
        return found
    if not os.path.exists(images):
        raise ValueError(f"--images={images}: no such file or directory")
    if is_image(images):
        return [images]
    if not images.lower().endswith(".txt"):
        raise ValueError(
            f"--images={images} is neither a directory nor an image (JPEG, PNG, BMP, GIF, WebP) nor a list "
            "(.txt, one path a line)"
        )
    # Bytes that are no UTF-8 are kept, as in every other file name; a byte order mark is not part of one.
    lines = Path(images).read_bytes().decode("utf-8-sig", "surrogateescape").split("\n")
    found = [line.removesuffix("\r") for line in lines if line.strip()]
    if not found:
        raise ValueError(f"--images={images} lists no image; expected one path a line")
    return found
