"""A momentum copy: a network that follows another one slowly (BYOL's target; He et al. 2020)."""

import math

import tensorflow as tf


def cosine_momentum(step, total_steps, start):
    """The share of itself that the copy keeps, rising from `start` to 1 along half a cosine.

        m(k) = 1 - (1 - m0) (1 + cos(pi k / K)) / 2

    Update n = 1, 2, ... of a run uses m(n - 1), so that the first one has m0 (Grill et al. 2020, sec. 3.3).

    Args:
        step: k, integer scalar, steps gone by (0 for the first); beyond K it stays at 1.
        total_steps: K, length of the run.
        start: m0 in [0, 1].

    Returns:
        float32 scalar in [m0, 1].
    """
    progress = tf.minimum(tf.cast(step, tf.float32) / float(total_steps), 1.0)
    return 1.0 - (1.0 - start) * (1.0 + tf.cos(math.pi * progress)) / 2.0


class MomentumCopy:
    """Pairs of layers of which the second follows the first.

    Only trained weights follow:  target <- m target + (1 - m) online.  Moving statistics are those of the
    target's own forward passes, which have batch statistics in training like the online network's: choose
    what is trained by `TrainingModel.trained_variables`, and leave the target's `trainable` as it is, as
    batch norm would read its moving statistics otherwise.

    Args:
        pairs: (online layer, target layer), built, of the same kind and sizes, under names of their own.

    Raises:
        ValueError: two layers of a pair have not the same weights.
    """

    def __init__(self, pairs):
        self._pairs = []
        self._others = []
        for online, target in pairs:
            sizes = [[(w.name, tuple(w.shape)) for w in layer.weights] for layer in (online, target)]
            if sizes[0] != sizes[1]:
                raise ValueError(
                    f"{target.name} with {len(sizes[1])} weights cannot follow {online.name} with "
                    f"{len(sizes[0])}; expected weights of the same names and shapes, in one order. Make "
                    "both alike and build them for the same input."
                )
            self._pairs += zip(online.trainable_variables, target.trainable_variables, strict=True)
            self._others += zip(online.weights, target.weights, strict=True)

    @property
    def variables(self):
        """What follows: the target's weights, which are not in `trained_variables`."""
        return [target for _, target in self._pairs]

    def start(self):
        """Makes the target equal to the online network, statistics too; outside a step, after loading."""
        for online, target in self._others:
            target.assign(online)

    def moves(self, momentum):
        """[(variable, new value)], for `TrainingModel.after_update`.

        Args:
            momentum: m above, a scalar in [0, 1].
        """
        moves = []
        for online, target in self._pairs:
            share = tf.cast(momentum, target.dtype)
            moves.append((target, share * target.value + (1.0 - share) * online.value))
        return moves
