"""Jigsaw: which of K orders the nine tiles of an image are in (Noroozi and Favaro 2016)."""

from mmgl_tf.pretraining.tile_puzzles import Puzzle, TilePuzzleModel


class Jigsaw(TilePuzzleModel):
    """Jigsaw puzzles of 3x3 tiles; `options` as in `mmgl_tf.flags.methods.jigsaw`."""

    def __init__(self, encoder, options, seed, plan, name="jigsaw"):
        super().__init__(encoder, options, seed, plan, name)

    @staticmethod
    def puzzles(options):
        """One."""
        return (Puzzle(options.jigsaw_permutations),)
