"""What MMGL's heads make of fixed images: order recovered, and where soft neighbours lie.

A falling cycle-contrast loss proves nothing (docs/choices.md): it can be solved by the position of a stripe
in the image. What tells is where the soft neighbours of a stripe are: on the same body part, the same slot,
the same person.
"""

import numpy as np
import tensorflow as tf

from mmgl_tf.pretraining.monitor.permutation_recovery import kendall_tau, recover
from mmgl_tf.pretraining.monitor.soft_matching import soft_matching
from mmgl_tf.visualization.panels import augmented_batch, recovered_stripes
from mmgl_tf.visualization.soft_matching import soft_matching_matrix


def probe_figures(heads, batch, identities, temperature):
    """Figures of one look.

    Args:
        heads: what `Mmgl.call` returns, as NumPy arrays.
        batch: NumPy arrays; `visible` and `permutation` are read.
        identities: (int [n], int [m]) identity numbers, only for the identity lift; or (None, None).
        temperature: of the soft neighbours, Eq. 5.

    Returns:
        {slash-grouped name: figure}.
    """
    figures, order = {}, batch["permutation"]
    if "permutation_logits" in heads:
        figures["probe/kendall_tau"] = np.mean(kendall_tau(_recovered(heads), order))
    found = matched(heads, batch, identities, temperature)
    figures |= {
        "matching/part_mass": found.part_mass,
        "matching/slot_mass": found.slot_mass,
        "matching/effective_neighbours": found.effective_neighbours,
    }
    if found.identity_lift is not None:
        figures["matching/identity_lift"] = found.identity_lift
    return figures


def matched(heads, batch, identities, temperature):
    """Where the soft neighbours lie, a `SoftMatching`; arguments as above."""
    count, parts, order = len(batch["visible"]), heads["parts"], batch["permutation"]
    return soft_matching(
        parts[:count], parts[count:], order[:count], order[count:], *identities, temperature=temperature
    )


def probe_pictures(heads, batch, identities, temperature, source, scale, each=4):
    """Pictures of one look: {"recovered_stripes", "matching"}, uint8 [H, W, 3].

    Args:
        heads, batch, identities, temperature: as in `probe_figures`.
        source: what the images are, for captions, e.g. "held-out images".
        scale: (mean, standard deviation) that the images were normalised with.
        each: images of each modality whose stripes are shown.
    """
    pictures = {}
    if "permutation_logits" in heads:
        count = len(batch["visible"])
        chosen = [*range(min(each, count)), *range(count, min(count + each, len(batch["permutation"])))]
        mean, std = scale
        pictures["recovered_stripes"] = recovered_stripes(
            np.concatenate([batch["visible"], batch["infrared"]])[chosen],
            batch["permutation"][chosen],
            _recovered(heads)[chosen],
            ["visible" if index < count else "infrared" for index in chosen],
            mean=mean,
            std=std,
            selection=f"the first {each} {source} of each modality in the probe",
            max_examples=2 * each,
        )
    found = matched(heads, batch, identities, temperature)
    pictures["matching"] = soft_matching_matrix(
        found.part_matrix,
        found.slot_matrix,
        part_mass=found.part_mass,
        slot_mass=found.slot_mass,
        identity_lift=found.identity_lift,
    )
    return pictures


def batch_pictures(batch, scale):
    """{"augmented_batch": uint8 [H, W, 3]}; arguments as `PretrainingModel.batch_pictures`."""
    mean, std = scale
    shown = augmented_batch(batch["visible"], batch["infrared"], batch["permutation"], mean=mean, std=std)
    return {"augmented_batch": shown}


def _recovered(heads):
    return recover(tf.constant(heads["permutation_logits"])).numpy()
