"""Jigsaw: all that it sets, it shares."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.flags.methods.shared.tile_puzzles import TilePuzzles


@dataclass(frozen=True)
class Jigsaw:
    """Jigsaw: which of K orders an image's tiles are in (Noroozi and Favaro 2016; ResNet as in VISSL)."""

    TITLE: ClassVar = "Jigsaw"
    COST: ClassVar = 2.1
    READS: ClassVar = ("tile_puzzles",)
    IMAGES: ClassVar = ("flips", "held_out_orders")
    TINY: ClassVar = TilePuzzles.TINY
    PRESETS: ClassVar = TilePuzzles.PRESETS
    RECIPES: ClassVar = TilePuzzles.RECIPES
