"""Starts that an experiment does not make itself, such as ImageNet's weights: told by what is in them."""

import hashlib
from pathlib import Path


def start_digest(init):
    """Eight hexadecimal digits of the weights that a fine-tuning would start from.

    Runs are named after it, so that other weights under the same path are not taken for the same arm.

    Args:
        init: directory of a run or of an import, or a weights file.

    Raises:
        ValueError: there are no weights.
    """
    place = Path(init)
    names = ("encoder_best.weights.h5", "encoder_last.weights.h5") if place.is_dir() else ("",)
    files = [place / name for name in names if (place / name).is_file()]
    if not files:
        raise ValueError(
            f"{init} is neither a run with an encoder nor a weights file; make one of a file of ImageNet's "
            "weights with `python main.py --mode=import`"
        )
    digest = hashlib.sha256()
    for path in files:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:8]
