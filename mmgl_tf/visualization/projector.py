"""Embeddings for TensorBoard's embedding projector: turn them, search them, look at each image."""

import json
import math
from pathlib import Path

import numpy as np
from PIL import Image

from mmgl_tf.run_directory import atomic_file

MAX_SPRITE = 8192  # pixels a side: TensorBoard refuses larger ones
MAX_TILE = 64  # pixels a side of one thumbnail; larger than a point is ever drawn


def write_projector(directory, embeddings, metadata, thumbnails=None, *, name="embedding"):
    """Write the files that `tensorboard --logdir DIRECTORY` shows under Projector.

    tensors.tsv, metadata.tsv, sprite.png and, last, projector_config.pbtxt, each whole or not at all. The
    first two can also be loaded at https://projector.tensorflow.org. TensorBoard looks for them in
    its --logdir itself and in directories below it that hold event files (a run's tensorboard/).

    Args:
        directory: where to; made if missing. An earlier projector in it is replaced.
        embeddings: float [M, D], finite; the projector's browser page is at ease with up to about 10,000.
        metadata: M dicts with the same keys, e.g. {"identity": 12, "modality": "visible", "camera": 3}.
        thumbnails: uint8 [M, H, W, 3], one an image, or None to show dots. Set into squares with transparent
            margins: the projector draws squares and would distort anything else.
        name: what the projector calls the embeddings, e.g. "neck".

    Returns:
        Path of projector_config.pbtxt.

    Raises:
        ValueError: numbers of rows that differ, embeddings that are not finite, other keys in another row,
            thumbnails that are no uint8 images, or more than fit a sprite.
    """
    embeddings = np.asarray(embeddings)
    if embeddings.ndim != 2 or not embeddings.size or not np.isfinite(embeddings).all():
        raise ValueError(
            f"Got embeddings of shape {embeddings.shape}, {np.count_nonzero(~np.isfinite(embeddings))} "
            "numbers of them not finite; expected finite [M, D] with at least one image."
        )
    if len(metadata) != len(embeddings) or (thumbnails is not None and len(thumbnails) != len(embeddings)):
        raise ValueError(
            f"Got {len(embeddings)} embeddings, {len(metadata)} rows of metadata and "
            f"{'no' if thumbnails is None else len(thumbnails)} thumbnails; expected one of each an image."
        )
    labels = _labels(metadata)  # judged, like the thumbnails, before anything is written
    sheet, tile = (None, 0) if thumbnails is None else sprite(thumbnails)
    directory = Path(directory)
    config = directory / "projector_config.pbtxt"
    with atomic_file(directory / "tensors.tsv") as file:
        # Six digits: a float32 has seven, and the picture needs three.
        np.savetxt(file, embeddings, fmt="%.6g", delimiter="\t")
    with atomic_file(directory / "metadata.tsv") as file:
        file.write(labels.encode())
    if sheet is not None:
        with atomic_file(directory / "sprite.png") as file:
            Image.fromarray(sheet).save(file, format="PNG")
    with atomic_file(config) as file:
        file.write(_config(name, embeddings.shape, tile).encode())
    if sheet is None:
        (directory / "sprite.png").unlink(missing_ok=True)
    return config


def sprite(thumbnails):
    """Thumbnails as one sheet of square tiles, row by row from the top left.

    The sheet has as many rows as columns, even where the last are empty: TensorBoard 2.20 divides a tile's
    number by the number of rows where it should divide by that of columns, so only square sheets come out.

    Args:
        thumbnails: uint8 [M, H, W, 3].

    Returns:
        (uint8 [n T, n T, 4] with n = ceil(sqrt(M)), transparent where no thumbnail is; T, the tile's side).

    Raises:
        ValueError: no uint8 images, or so many that a tile would have fewer than 8 pixels.
    """
    thumbnails = np.asarray(thumbnails)
    if (
        thumbnails.dtype != np.uint8
        or thumbnails.ndim != 4
        or thumbnails.shape[-1] != 3
        or not len(thumbnails)
    ):
        raise ValueError(
            f"Got thumbnails {thumbnails.dtype} {thumbnails.shape}; expected uint8 [M, H, W, 3]. "
            "Un-normalise them first (visualization.grid.unnormalise)."
        )
    side = math.isqrt(len(thumbnails) - 1) + 1
    longest = max(thumbnails.shape[1:3])
    if MAX_SPRITE // side < 8:
        raise ValueError(
            f"Got {len(thumbnails)} thumbnails; expected at most {(MAX_SPRITE // 8) ** 2}, or nothing could "
            "be recognised. Show fewer images."
        )
    tile = min(longest, MAX_TILE, MAX_SPRITE // side)
    height, width = (max(1, round(tile * pixels / longest)) for pixels in thumbnails.shape[1:3])
    top, left = (tile - height) // 2, (tile - width) // 2
    sheet = np.zeros((side, side, tile, tile, 4), np.uint8)
    for index, image in enumerate(thumbnails):
        small = Image.fromarray(image)
        if (height, width) != image.shape[:2]:
            small = small.resize((width, height), Image.Resampling.LANCZOS)
        target = sheet[index // side, index % side, top : top + height, left : left + width]
        target[..., :3] = np.asarray(small)
        target[..., 3] = 255
    return sheet.transpose(0, 2, 1, 3, 4).reshape(side * tile, side * tile, 4), tile


def _labels(metadata):
    """The text of metadata.tsv: a header where there are two columns or more, then a line an image."""
    keys = list(metadata[0])
    for number, row in enumerate(metadata):
        if list(row) != keys or not keys:
            raise ValueError(
                f"Got metadata row {number} with the keys {list(row)}; expected those of row 0, {keys}, in "
                "the same order, and at least one."
            )
    # The projector takes a first line without a tab for an image, not for a header.
    lines = [keys] if len(keys) > 1 else []
    lines += [[row[key] for key in keys] for row in metadata]
    return "".join("\t".join(_cell(value) for value in line) + "\n" for line in lines)


def _cell(value):
    """A value as text that cannot break the table: tabs and line ends become spaces."""
    return " ".join(str(value).split()) or "-"


def _config(name, shape, tile):
    """projector_config.pbtxt, the text form of TensorBoard's ProjectorConfig; paths are relative to it."""
    lines = [
        "embeddings {",
        f"  tensor_name: {json.dumps(name, ensure_ascii=False)}",
        *(f"  tensor_shape: {size}" for size in shape),
        '  tensor_path: "tensors.tsv"',
        '  metadata_path: "metadata.tsv"',
    ]
    if tile:
        lines += [
            "  sprite {",
            '    image_path: "sprite.png"',
            f"    single_image_dim: {tile}",
            f"    single_image_dim: {tile}",
            "  }",
        ]
    return "\n".join([*lines, "}", ""])
