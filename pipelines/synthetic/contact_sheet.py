"""A picture of some of a world's people: rows are identities, columns are cameras."""

from pathlib import Path

import cv2
import numpy as np

from .draw import draw_image
from .spec import WorldSpec
from .write import read_spec

_BORDER = 3
_HEADER = 22
_MARGIN = 58
_TITLES = {"visible": "visible", "infrared": "infrared", "thermal": "thermal"}


def write_contact_sheet(source, path, identities=8, frames=2, quality=88):
    """Draws a labelled grid of people and writes it.

    Args:
        source: a `WorldSpec`, or a directory that holds a world.
        path: file to write; its ending says whether PNG or JPEG.
        identities: number of rows, or a list of identity numbers.
        frames: images per identity and camera.
        quality: JPEG quality, 1..100.

    Returns:
        The path.

    Raises:
        ValueError: where the ending is neither .png nor .jpg.
    """
    path = Path(path)
    if path.suffix not in (".png", ".jpg"):
        raise ValueError(f"{path} ends in {path.suffix!r}; a contact sheet is written as .png or .jpg.")
    spec = source if isinstance(source, WorldSpec) else read_spec(source)[0]
    if isinstance(identities, int):
        identities = list(range(1, min(identities, spec.identities) + 1))
    if spec.layout == "regdb":
        columns = [(camera, frame) for frame in range(1, 2 * frames + 1) for camera in spec.cameras]
    else:
        frames = min(frames, spec.frames)
        order = sorted(spec.cameras, key=lambda camera: (spec.look(camera) != "visible", camera))
        columns = [(camera, frame) for camera in order for frame in range(1, frames + 1)]
    height, width = spec.height, spec.width
    sheet = np.full(
        (_HEADER + len(identities) * (height + _BORDER), _MARGIN + len(columns) * (width + _BORDER), 3),
        255,
        np.uint8,
    )
    for j, (camera, frame) in enumerate(columns):
        left = _MARGIN + j * (width + _BORDER)
        if spec.layout == "regdb" or frame == 1:
            name = _TITLES[spec.look(camera)]
            _label(sheet, (left + 2, 15), name if spec.layout == "regdb" else f"cam{camera} {name}")
        for i, identity in enumerate(identities):
            top = _HEADER + i * (height + _BORDER)
            sheet[top : top + height, left : left + width] = draw_image(spec, identity, camera, frame)
    for i, identity in enumerate(identities):
        _label(sheet, (4, _HEADER + i * (height + _BORDER) + height // 2), f"{identity:04d}")
    path.parent.mkdir(parents=True, exist_ok=True)
    options = (
        [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 9]
    )
    _, encoded = cv2.imencode(path.suffix, sheet[..., ::-1], options)
    path.write_bytes(encoded.tobytes())
    return path


def _label(sheet, origin, text):
    cv2.putText(sheet, text, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA)
