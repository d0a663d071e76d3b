"""What methods share that put an image's tiles in order: puzzles as data, recipe, network, figures, pictures.

Legend: b images of a modality, T tiles an image, K orders, C features.
"""

import functools
import math
from dataclasses import dataclass

import tensorflow as tf

from mmgl_tf.figures import Figure
from mmgl_tf.layers.full_precision import at_least_float32
from mmgl_tf.layers.heads.tile_head import TileHead
from mmgl_tf.losses.tile_order import order_found, tile_order_loss
from mmgl_tf.pipelines.augmentation.operations.flip import Flip
from mmgl_tf.pipelines.augmentation.operations.random_grey import RandomGrey
from mmgl_tf.pipelines.augmentation.permutation_sets import permutation_set
from mmgl_tf.pipelines.batches.recipe import HeldOut, Recipe, TileOrder, each_modality
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.pretraining.base import PretrainingModel
from mmgl_tf.pretraining.pictures import tiles as tile_pictures
from mmgl_tf.pretraining.stages import Stage


@dataclass(frozen=True)
class Puzzle:
    """A task: a grid, the orders to tell apart, and how deep the network is that does it.

    Attributes:
        orders: K.
        side: tiles on each side of the square grid, 2 or 3.
        until: name of the last stage of the trunk that takes part; None = all of it.
        suffix: of the names of its target, head and figures: "" or such as "_stage1".
        text: what it is, for titles: "" or such as "stage 1".
    """

    orders: int
    side: int = 3
    until: str | None = None
    suffix: str = ""
    text: str = ""

    @property
    def target(self):
        """Its order's name in a batch."""
        return f"tile_order{self.suffix}"

    @property
    def permutations(self):
        """The K orders, int tuples [K][T]."""
        return _permutations(self.side**2, self.orders)

    def described(self):
        """In a few words: "3x3, 64 orders"."""
        return f"{self.side}x{self.side}, {self.orders} orders"


@functools.cache
def _permutations(tiles, orders):
    # The same for every run: they are part of what the task is, as the number of stripes is of MMGL's.
    return tuple(tuple(map(int, order)) for order in permutation_set(tiles, orders))


class TilePuzzleModel(PretrainingModel):
    """An encoder that tells which of K orders the tiles of each image are in.

    A method subclasses this and says which puzzles there are (`puzzles`), one for each stage of the run, and
    how long these are (`stage_lengths`).

    A batch is a dict: `visible`, `infrared` float32 [b, T, h, w, 3], tiles as `TileOrder` describes them; and
    the `target` of one puzzle, int32 [2b], which says that it is of that puzzle. Every tile goes through the
    stem of its modality and the trunk by itself; its features are pooled, and the tiles of an image meet in
    the head. Tiles need be no multiple of the trunk's stride: sizes are rounded up on the way.

    Args:
        As `PretrainingModel`.
    """

    def __init__(self, encoder, options, seed, plan, name):
        puzzles = self.puzzles(options)
        terms = {f"jigsaw{puzzle.suffix}": 1.0 for puzzle in puzzles}
        super().__init__(encoder, options, seed, plan, terms, name)
        for puzzle in puzzles:
            head = f"tile_head{puzzle.suffix}"
            layer = TileHead(puzzle.orders, puzzle.side**2, options.jigsaw_hidden_size, seed=seed, name=head)
            # Attributes rather than a list, so that weights files say whose head it is.
            setattr(self, head, layer)

    @staticmethod
    def puzzles(options):
        """The puzzles in the order of their stages, a tuple of `Puzzle`."""
        raise NotImplementedError

    @staticmethod
    def stage_lengths(options, epochs):
        """Epochs of each stage, a tuple that adds up to those of the run."""
        del options
        return (epochs,)

    @classmethod
    def figures(cls, options, plan):
        """Loss and accuracy of each puzzle; the losses share a panel."""
        del plan
        found = []
        for puzzle in cls.puzzles(options):
            name, ending = f"jigsaw{puzzle.suffix}", puzzle.text and f", {puzzle.text}"
            together = {"panel": "jigsaw loss", "line": f"{puzzle.text}: {puzzle.described()}"}
            found += [
                Figure(
                    f"loss/{name}",
                    f"jigsaw loss{ending}",
                    math.log(puzzle.orders),
                    short=f"jigsaw {puzzle.text}".strip(),
                    **(together if puzzle.text else {}),
                ),
                Figure(
                    f"accuracy/{name}",
                    f"tiles' order recognised{ending}",
                    1 / puzzle.orders,
                    "share",
                    short=f"right {puzzle.text}".strip(),
                    held_out=True,
                ),
            ]
        return tuple(found)

    @classmethod
    def recipe(cls, options):
        """Tiles of each image in one of the orders."""
        return _recipe(cls.puzzles(options)[-1], options)

    @classmethod
    def held_out(cls, options):
        """Tiles of every image as it is, at fixed places and in fixed orders."""
        return _held_out(cls.puzzles(options)[-1], options)

    @classmethod
    def stages(cls, options, epochs):
        """A puzzle for each."""
        lengths = cls.stage_lengths(options, epochs)
        return tuple(
            Stage(length, _recipe(puzzle, options), _held_out(puzzle, options))
            for length, puzzle in zip(lengths, cls.puzzles(options), strict=True)
        )

    def build_from(self, height, width):
        """See `PretrainingModel`."""
        self.encoder.build_from(height, width)
        for puzzle in self.puzzles(self.options):
            channels = self.encoder.stages_until(puzzle.until)[-1].num_features
            self.head_of(puzzle).build((None, puzzle.side**2, channels))
        self.built = True

    def without_gradient(self):
        """The biases of the heads' first layer: batch norm follows."""
        return ("tile/linear1/bias",)

    def describe(self):
        """See `PretrainingModel`."""
        return ", then ".join(puzzle.described() for puzzle in self.puzzles(self.options))

    def head_of(self, puzzle):
        """The `TileHead` of a puzzle."""
        return getattr(self, f"tile_head{puzzle.suffix}")

    def puzzle_of(self, batch):
        """(number, `Puzzle`) that a batch is of.

        Raises:
            ValueError: it has the target of none.
        """
        puzzles = self.puzzles(self.options)
        for number, puzzle in enumerate(puzzles):
            if puzzle.target in batch:
                return number, puzzle
        raise ValueError(
            f"{self.name} got a batch of {sorted(batch)}; expected one of "
            f"{', '.join(puzzle.target for puzzle in puzzles)} in it. Make it by the method's recipe."
        )

    def call(self, batch, training=False):
        """Pools each tile, and tells the order.

        Args:
            batch: see the class.
            training: batch norm uses batch statistics.

        Returns:
            {"tiles": float32 [2b, T, C], pooled features in slot order; "scores": float32 [2b, K]}.
        """
        _, puzzle = self.puzzle_of(batch)
        tiles = {m: tf.reshape(batch[m], [-1, *batch[m].shape[2:]]) for m in MODALITIES if m in batch}
        features = self.encoder(tiles, training=training, until=puzzle.until)
        features = tf.reduce_mean(at_least_float32(features), axis=[1, 2])
        features = tf.reshape(features, [-1, puzzle.side**2, features.shape[-1]])
        return {"tiles": features, "scores": self.head_of(puzzle)(features, training=training)}

    def outputs(self, batch):
        """Scores of the orders, and the true one: {"scores", the target's name}."""
        _, puzzle = self.puzzle_of(batch)
        return {"scores": self(batch, training=True)["scores"], puzzle.target: batch[puzzle.target]}

    def losses(self, outputs, seed):
        """Cross-entropy of the orders."""
        del seed  # nothing is drawn
        _, puzzle = self.puzzle_of(outputs)
        name, answer = f"jigsaw{puzzle.suffix}", (outputs["scores"], outputs[puzzle.target])
        return {name: tile_order_loss(*answer)}, {f"accuracy/{name}": tf.reduce_mean(order_found(*answer))}

    def validation_outputs(self, batch):
        """As `outputs`, batch norm in inference mode."""
        _, puzzle = self.puzzle_of(batch)
        scores = self(batch, training=False)["scores"]
        return {"scores": scores, puzzle.target: batch[puzzle.target], "weight": batch["weight"]}

    def validation_figures(self, outputs):
        """How often the order is recognised, each modality apart."""
        _, puzzle = self.puzzle_of(outputs)
        right = tf.split(order_found(outputs["scores"], outputs[puzzle.target]), 2)
        weights = tf.split(outputs["weight"], 2)
        return {
            f"accuracy/jigsaw{puzzle.suffix}_{modality}": (values, weight)
            for modality, values, weight in zip(MODALITIES, right, weights, strict=True)
        }

    def score_name(self):
        """The accuracy in the last puzzle: the others are easier, and leave blocks untrained."""
        return f"accuracy/jigsaw{self.puzzles(self.options)[-1].suffix}"

    def probed(self, batch):
        """An image's features are the mean of its tiles' at the depth that is in training."""
        found = self(batch, training=False)
        return {"features": tf.reduce_mean(found["tiles"], axis=1), "scores": found["scores"]}

    def probe_pictures(self, found, batch, identities, source, scale):
        """Tiles put back by the order that is recognised."""
        _, puzzle = self.puzzle_of(batch)
        return tile_pictures.probe_pictures(found, batch, puzzle, source)

    def batch_pictures(self, batch, scale):
        """Tiles as the network sees them, and put back."""
        _, puzzle = self.puzzle_of(batch)
        return tile_pictures.batch_pictures(batch, puzzle)


def _recipe(puzzle, options):
    # No padded crop: black edges would show which tiles are the outer ones. Tiles have random places anyway.
    flip = Flip(options.flip_probability)
    chains = [[(flip, RandomGrey(options.jigsaw_grey))], [(flip,)]]
    return Recipe(each_modality(chains), (_order(puzzle, options, options.jigsaw_shared),))


def _held_out(puzzle, options):
    recipe = Recipe(each_modality([[()], [()]]), (_order(puzzle, options, False),))
    return HeldOut(recipe, options.validation_permutations)


def _order(puzzle, options, shared):
    share = options.jigsaw_tile_share
    return TileOrder(puzzle.permutations, puzzle.side, puzzle.side, share, shared, puzzle.target)
