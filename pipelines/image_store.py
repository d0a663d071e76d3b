"""Decoded, resized images by index: memory-mapped from a cache, or decoded on demand."""

import numpy as np

from pipelines.records import Sample


class ImageStore:
    """Images of a sequence of samples. `len(store)`, `store[i]` -> uint8 [H, W, 1] (grey) or [H, W, 3]."""

    usable: np.ndarray  # int64, indices of readable images
    skipped: list[tuple[str, str]]  # (path, reason)
    notes: list[str]  # sentences a run should print, e.g. that the disk was full and nothing is cached
    cached: bool

    def __len__(self):
        raise NotImplementedError

    def __getitem__(self, index: int) -> np.ndarray:
        raise NotImplementedError


def open_store(
    samples: tuple[Sample, ...],
    height: int,
    width: int,
    cache: bool = True,
    cache_dir: str = "cache",
    on_bad_image: str = "fail",
    progress=None,
) -> ImageStore:
    """Opens, and builds where needed, the store of these samples; progress(done, total, seconds)."""
    raise NotImplementedError
