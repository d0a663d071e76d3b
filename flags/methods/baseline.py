"""One-Stream and Two-Stream: all that they set, they share."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class OneStream:
    """One-Stream: nothing of its own."""

    TITLE: ClassVar = "One-Stream"
    READS: ClassVar = ("triplet", "batch_hard")
    IMAGES: ClassVar = ("flips", "crops", "distortions")
    STREAM: ClassVar = "one"


@dataclass(frozen=True)
class TwoStream:
    """Two-Stream: nothing of its own."""

    TITLE: ClassVar = "Two-Stream"
    READS: ClassVar = ("triplet", "batch_hard")
    IMAGES: ClassVar = ("flips", "crops", "distortions")
