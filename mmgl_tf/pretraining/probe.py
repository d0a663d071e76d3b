"""A fixed look at images after each epoch: is the embedding alive, is the matching about body parts?

A falling cycle-contrast loss proves nothing (docs/choices.md): it can be solved by the position of a stripe
in the image. What tells is where the soft neighbours of a stripe are: on the same body part, the same slot,
the same person.
"""

import numpy as np
import tensorflow as tf

from mmgl_tf.pretraining.diagnostics import effective_rank, embedding_std, matching, modality_gap
from mmgl_tf.pretraining.permutation_recovery import kendall_tau, recover


class Probe:
    """Runs the heads on the same shuffled, unaugmented images each time, batch norm in inference mode.

    Args:
        model: `Mmgl`.
        batch: dict `visible` float32 [n, H, W, 3], `infrared` float32 [m, H, W, 3], `permutation`
            int32 [n + m, N].
        identities: (int [n], int [m]) identity numbers, only for the identity lift; or None.
        temperature: of the soft neighbours, Eq. 5.
        source: what the images are, for captions, e.g. "held-out images".
    """

    def __init__(self, model, batch, identities, temperature, source="held-out images"):
        self.model = model
        self.batch = {name: np.asarray(value) for name, value in batch.items()}
        self.identities = identities or (None, None)
        self.temperature = temperature
        self.source = source
        self.recovered = None
        self.matching = None
        self._heads = tf.function(lambda images: model(images, training=False))

    def __call__(self):
        """Look.

        Returns:
            {slash-grouped name: figure}. `recovered` and `matching` are kept for the pictures.
        """
        images = {name: tf.constant(self.batch[name]) for name in ("visible", "infrared")}
        heads = {name: value.numpy() for name, value in self._heads(images).items()}
        count = len(self.batch["visible"])
        order = self.batch["permutation"]
        features, parts = heads["features"], heads["parts"]
        figures = {}
        if "permutation_logits" in heads:
            self.recovered = recover(tf.constant(heads["permutation_logits"])).numpy()
            figures["probe/kendall_tau"] = np.mean(kendall_tau(self.recovered, order))
        self.matching = matching(
            parts[:count],
            parts[count:],
            order[:count],
            order[count:],
            *self.identities,
            temperature=self.temperature,
        )
        unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
        figures |= {
            "embedding/std": embedding_std(features),
            "embedding/std_visible": embedding_std(features[:count]),
            "embedding/std_infrared": embedding_std(features[count:]),
            "embedding/effective_rank": effective_rank(features),
            "embedding/modality_gap": modality_gap(unit[:count], unit[count:]),
            "matching/part_mass": self.matching.part_mass,
            "matching/slot_mass": self.matching.slot_mass,
            "matching/effective_neighbours": self.matching.effective_neighbours,
        }
        if self.matching.identity_lift is not None:
            figures["matching/identity_lift"] = self.matching.identity_lift
        return {name: float(value) for name, value in figures.items()}
