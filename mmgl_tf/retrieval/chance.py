"""What a search finds by chance, and whether something was found at all: the one test of that."""

from dataclasses import dataclass, replace

import numpy as np

from mmgl_tf.retrieval.protocols import evaluate
from mmgl_tf.retrieval.unit_length import unit_length

# Directions in a plane: rankings of different queries hang together, as those of features do that say which
# camera it was and little else. Their means then vary more than those of rankings that are all independent.
DRAWS, SIZE, DEVIATIONS = 20, 2, 3.0


@dataclass(frozen=True)
class Chance:
    """A metric of embeddings that know nobody.

    Attributes:
        mean: of random embeddings, over draws, 0 .. 1.
        deviation: between draws, n - 1.
    """

    mean: float
    deviation: float

    @property
    def limit(self):
        """What a search has to exceed to count as more than chance: three deviations above the mean.

        Random embeddings do about once in a thousand times. It says nothing of embeddings that are all the
        same to the last bits: equal distances leave the order of the files, in which the images of a person
        stand together, and that doubles the mean precision. Such a run has collapsed, and ends for that.
        """
        return self.mean + DEVIATIONS * self.deviation


def chance_of(query, gallery, protocol, setting, metric="mAP", draws=DRAWS, seed=0):
    """The level of chance of a setting.

    Random directions in a plane stand in the place of all embeddings; who is on the images, and by which
    cameras they are, stays. So the chance has the galleries and rules of the protocol.

    Args:
        query, gallery: `LabelledFeatures`; their features are not looked at.
        protocol: as in `evaluate`.
        setting: `mmgl_tf.retrieval.gallery_draws.Setting`.
        metric: as in `Result.values`.
        draws: at least 2.
        seed: of the draws.

    Returns:
        `Chance`.
    """

    def found(of):
        known = [replace(part, features=of(len(part.identities))) for part in (query, gallery)]
        return evaluate(*known, protocol, **setting._asdict()).mean(metric)

    blind = []
    for number in range(draws):
        dice = np.random.default_rng([seed, number])
        blind.append(found(lambda count, dice=dice: unit_length(dice.standard_normal((count, SIZE)))))
    return Chance(float(np.mean(blind)), float(np.std(blind, ddof=1)))
