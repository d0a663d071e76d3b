"""The directory that --mode=embed writes and --mode=search reads: embeddings.npz, .tsv and about.json.

- embeddings.npz: "embeddings" float32 [N, D] of unit length; "paths" [N], text; "modality" int32 [N], 0
  visible, 1 infrared, -1 unknown. `numpy.load(..., allow_pickle=False)` reads it.
- embeddings.tsv: a line of column names, then a line for each image: path, modality (visible, infrared or
  unknown), and the D values, with 9 digits, which is all that float32 has. Tab, line feed, carriage return
  and backslash in a path are written \\t, \\n, \\r and \\\\.
- about.json: the model ("source"), the working directory that relative paths begin at, skipped images.

Both data files are written in pieces, so that no more than one piece of the embeddings is in memory.
"""

import json
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmgl_tf.modes.search.embed_files import escaped, modality_name
from mmgl_tf.run_directory import atomic_file

ARRAYS, TABLE, ABOUT = "embeddings.npz", "embeddings.tsv", "about.json"


@dataclass(frozen=True)
class Embedded:
    """Embedded images.

    Attributes:
        embeddings: float32 [N, D], unit length; memory-mapped.
        paths: list of N texts; relative ones begin at `about["working_directory"]`.
        modality: int32 [N].
        about: dict, content of about.json.
    """

    embeddings: np.ndarray
    paths: list
    modality: np.ndarray
    about: dict

    def file(self, position):
        """Where the image at a position is, a `Path`."""
        return Path(self.about.get("working_directory", ""), self.paths[position])


def is_embedded(directory):
    """Whether a directory is one of --mode=embed, finished or not."""
    directory = Path(directory)
    return (directory / ARRAYS).is_file() and (directory / ABOUT).is_file()


def write_embedded(root, pieces, num_images, num_features, paths, modality, about):
    """Write the three files, about.json last: where it is, the others are whole.

    Args:
        root: directory.
        pieces: function () -> iterator of float32 [n, D] that make up [N, D]; called for each file.
        num_images: N.
        num_features: D.
        paths: list of N texts.
        modality: int32 [N].
        about: dict for about.json.
    """
    root = Path(root)
    with atomic_file(root / ARRAYS) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        # ZipInfo's own date, so that the same embeddings give the same file.
        with archive.open(zipfile.ZipInfo("embeddings.npy"), "w", force_zip64=True) as member:
            header = {"descr": "<f4", "fortran_order": False, "shape": (num_images, num_features)}
            np.lib.format.write_array_header_1_0(member, header)
            for piece in pieces():
                member.write(np.ascontiguousarray(piece, "<f4").tobytes())
        for name, array in (("paths", np.array(paths)), ("modality", np.asarray(modality, np.int32))):
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    names = ["path", "modality", *(f"embedding_{number}" for number in range(num_features))]
    values = "\t".join(["%.9g"] * num_features)
    with atomic_file(root / TABLE) as file:
        file.write(("\t".join(names) + "\n").encode())
        number = 0
        for piece in pieces():
            for row in piece.tolist():
                fields = (escaped(paths[number]), modality_name(int(modality[number])), values % tuple(row))
                file.write(("\t".join(fields) + "\n").encode("utf-8", "surrogateescape"))
                number += 1
    with atomic_file(root / ABOUT, "w") as file:
        json.dump(about, file, indent=2)


def read_embedded(directory, flag="gallery"):
    """The content of a directory of --mode=embed.

    Args:
        directory: of a finished --mode=embed.
        flag: the flag that named it, for messages.

    Returns:
        `Embedded`.

    Raises:
        ValueError: it is none, is not finished, or is damaged.
    """
    directory = Path(directory)
    if not is_embedded(directory):
        unfinished = (directory / "plan.json").is_file()
        raise ValueError(
            f"--{flag}={directory} "
            + (
                "is not finished: give its --mode=embed command again, it goes on where it stopped"
                if unfinished
                else f"holds no {ARRAYS} and {ABOUT}; give the --workdir of a --mode=embed"
            )
        )
    try:
        about = json.loads((directory / ABOUT).read_text())
        # NumPy leaves a damaged file open that it opened itself.
        with open(directory / ARRAYS, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            paths, modality = arrays["paths"], arrays["modality"]
        embeddings = _mapped(directory / ARRAYS)
        source = about["source"]["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, struct.error) as error:
        raise ValueError(
            f"--{flag}={directory} is damaged or none of ours ({error}); embed the images anew"
        ) from error
    if not (
        source
        and embeddings.dtype == np.float32
        and embeddings.ndim == 2
        and paths.dtype.kind == "U"
        and len(embeddings) == len(paths) == len(modality) > 0
    ):
        raise ValueError(
            f"--{flag}={directory} holds embeddings {embeddings.shape} of {embeddings.dtype}, {len(paths)} "
            f"paths and {len(modality)} modalities; expected float32 [N, D], N and N. Embed the images anew."
        )
    return Embedded(embeddings, paths.tolist(), modality.astype(np.int32), about)


def _mapped(path):
    """The embeddings of an .npz, memory-mapped where they are stored as they are."""
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo("embeddings.npy")
    if entry.compress_type != zipfile.ZIP_STORED:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["embeddings"]
    with open(path, "rb") as file:
        # A zip file's local header: 30 bytes, the last four of them the lengths of a name and of extras.
        file.seek(entry.header_offset + 26)
        file.seek(sum(struct.unpack("<HH", file.read(4))), 1)
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran_order, dtype = read(file)
        if dtype.hasobject:
            raise ValueError("an array of Python objects")
        return np.memmap(path, dtype, "r", file.tell(), shape, "F" if fortran_order else "C")
