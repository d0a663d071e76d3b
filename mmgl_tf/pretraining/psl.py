"""PSL-style: jigsaw puzzles of growing difficulty on ever deeper parts of the network (after Li et al. 2021).

The authors' code is not public, and their paper says no more in its abstract than that a task is turned into
tasks of growing difficulty, that stages of learning belong to depths of the network, and that each has a
projection head of its own. What stands here is a reading of that, with jigsaw as the task:

    stage   trunk          puzzle                          share of the run
    1       .. layer2      2x2, all 24 orders              --psl_first_share
    2       .. layer3      3x3, --jigsaw_permutations      --psl_second_share
    3       .. layer4      3x3, --psl_permutations         the rest

A stage begins with the weights of the one before. Its loss reaches its own part of the trunk and its head
alone; what lies beyond is left as it was drawn, what a former stage trained is slow by default.
"""

import itertools

import tensorflow as tf

from mmgl_tf.figures import HAS_NONE, Figure
from mmgl_tf.pretraining.tile_puzzles import Puzzle, TilePuzzleModel

STAGE = Figure("stage/number", "stage", HAS_NONE, summary=False)
_SLOW = 0.1


class Psl(TilePuzzleModel):
    """PSL-style training; `options` as in `mmgl_tf.flags.methods.psl`."""

    def __init__(self, encoder, options, seed, plan, name="psl"):
        super().__init__(encoder, options, seed, plan, name)

    @staticmethod
    def puzzles(options):
        """Three; the first has all orders of its four tiles."""
        return (
            Puzzle(24, 2, "layer2", "_stage1", "stage 1"),
            Puzzle(options.jigsaw_permutations, 3, "layer3", "_stage2", "stage 2"),
            Puzzle(options.psl_permutations, 3, None, "_stage3", "stage 3"),
        )

    @staticmethod
    def stage_lengths(options, epochs):
        """The shares of the run, to whole epochs, at least one each.

        Raises:
            ValueError: fewer than three epochs.
        """
        if epochs < 3:
            raise ValueError(f"--epochs={epochs} cannot hold three stages; expected at least 3.")
        first, second = options.psl_first_share, options.psl_second_share
        # The ends are rounded, not the lengths: 6 epochs by quarters are 2, 1 and 3.
        one = min(max(round(first * epochs), 1), epochs - 2)
        two = min(max(round((first + second) * epochs), one + 1), epochs - 1)
        return one, two - one, epochs - two

    @classmethod
    def figures(cls, options, plan):
        """Those of each stage, and which stage it is."""
        return (*super().figures(options, plan), STAGE)

    def losses(self, outputs, seed):
        """The stage's, which is a figure too."""
        terms, measures = super().losses(outputs, seed)
        number, _ = self.puzzle_of(outputs)
        return terms, measures | {STAGE.name: tf.constant(number + 1.0)}

    def reached_variables(self, batch):
        """Of the stage's part of the trunk, as far as it is not frozen, and of its head."""
        number, puzzle = self.puzzle_of(batch)
        parts = self._parts()[: number + 1]
        if self.options.psl_freeze == "hard":
            parts = parts[-1:]
        layers = [*itertools.chain(*parts), self.head_of(puzzle)]
        reached = {id(variable) for layer in layers for variable in layer.trainable_variables}
        return [variable for variable in self.trained_variables if id(variable) in reached]

    def rate_factors(self, step):
        """A tenth for the parts of the trunk that a former stage has trained."""
        if self.options.psl_freeze != "slow":
            return {}
        factors = {}
        for start, part in zip(self.plan.stage_starts[1:], self._parts(), strict=False):
            factor = tf.where(step < start, 1.0, _SLOW)
            factors |= dict.fromkeys((f"{self.encoder.name}/{layer.name}/" for layer in part), factor)
        return factors

    def restarts(self):
        """A warm-up for each stage."""
        return self.plan.stages

    def _parts(self):
        """The layers of the encoder that each stage adds: three lists."""
        encoder, parts, known = self.encoder, [], 0
        for puzzle in self.puzzles(self.options):
            until = encoder.stages_until(puzzle.until)
            parts.append(until[known:])
            known = len(until)
        parts[0] = [*dict.fromkeys(encoder.stems.values()), *parts[0]]
        return parts
