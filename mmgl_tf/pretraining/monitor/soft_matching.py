"""What the soft neighbours of MMGL's stripes share with them: body part, slot, person (Eq. 5). NumPy only.

A falling contrast loss does not show that stripes find their counterpart: the position in the image is
enough to solve it. `soft_matching` tells the cases apart, with the definitions of docs/choices.md.

Legend: B images, N stripes, D embedding size, Q queries, K keys.
"""

from dataclasses import dataclass

import numpy as np

from mmgl_tf.pretraining.monitor.entropy import entropy
from mmgl_tf.retrieval.unit_length import unit_length


@dataclass(frozen=True)
class SoftMatching:
    """Where the soft neighbours of stripes lie; every figure is the mean of both directions.

    Masses are shares of the softmax weight of MMGL Eq. 5, averaged over queries, in [0, 1]; chance is
    1 / N for part and slot.

    Attributes:
        part_mass: weight on keys of the query's true body part.
        slot_mass: weight on keys in the query's slot of the shuffled image.
        identity_lift: of the weight on the right part, the share on the query's person, over what chance
            would give; 1 is chance. None without identities or without a person seen in both modalities.
        effective_neighbours: exp(entropy) of the weights, in [1, K], mean over queries.
        self_return: weight on the query itself when its soft neighbour looks back into the query's image.
        part_matrix: [N, N], from the query's true part (row) to the key's (column); rows sum to one,
            those of a part without queries are zero.
        slot_matrix: [N, N], the same by slot.
    """

    part_mass: float
    slot_mass: float
    identity_lift: float | None
    effective_neighbours: float
    self_return: float
    part_matrix: np.ndarray
    slot_matrix: np.ndarray


def soft_matching(
    visible, infrared, visible_parts, infrared_parts, visible_ids=None, infrared_ids=None, temperature=0.07
):
    """What a stripe's soft neighbours in the other modality share with it (MMGL Eq. 5).

    Args:
        visible: float [B, N, D], stripe embeddings by slot; scaled to unit length first.
        infrared: float [B', N, D]; the same.
        visible_parts: int [B, N] in [0, N), the true body part in each slot, i.e. the permutation.
        infrared_parts: int [B', N].
        visible_ids: int [B], identities, or None.
        infrared_ids: int [B'], identities, or None.
        temperature: of the softmax (paper: 0.07).

    Returns:
        `SoftMatching`, each figure the mean of visible-to-infrared and infrared-to-visible.

    Raises:
        ValueError: where parts or identities do not fit the embeddings, or only one modality has identities.
    """
    if (visible_ids is None) != (infrared_ids is None):
        raise ValueError(
            "soft_matching got identities of one modality only; expected both or none. Pass visible_ids and "
            "infrared_ids together."
        )
    sides = [
        _side("visible", visible, visible_parts, visible_ids),
        _side("infrared", infrared, infrared_parts, infrared_ids),
    ]
    one_way = [_one_way(sides[0], sides[1], temperature), _one_way(sides[1], sides[0], temperature)]
    lifts = [way["identity_lift"] for way in one_way if way["identity_lift"] is not None]
    figures = {
        name: np.mean([way[name] for way in one_way], axis=0)
        for name in one_way[0]
        if name != "identity_lift"
    }
    matrices = {name: figures.pop(name) for name in ("part_matrix", "slot_matrix")}
    return SoftMatching(
        **{name: float(figure) for name, figure in figures.items()},
        **matrices,
        identity_lift=float(np.mean(lifts)) if lifts else None,
    )


def _side(name, embeddings, parts, identities):
    """One modality's stripes, flattened to [B * N], with what is known of each."""
    embeddings, parts = np.asarray(embeddings), np.asarray(parts)
    if embeddings.ndim != 3 or parts.shape != embeddings.shape[:2]:
        raise ValueError(
            f"soft_matching got {name} embeddings of shape {embeddings.shape} and parts of shape "
            f"{parts.shape}; expected [B, N, D] and [B, N]."
        )
    count, num_stripes, size = embeddings.shape
    side = {
        "vectors": unit_length(embeddings, np.float64).reshape(-1, size),
        "part": parts.reshape(-1),
        "slot": np.tile(np.arange(num_stripes), count),
        "num_stripes": num_stripes,
    }
    if identities is not None:
        identities = np.asarray(identities)
        if identities.shape != (count,):
            raise ValueError(
                f"soft_matching got {name} identities of shape {identities.shape}; expected ({count},), "
                "one per image."
            )
        side["identity"] = np.repeat(identities, num_stripes)
    return side


def _one_way(queries, keys, temperature):
    """All figures for the queries of one modality against the keys of the other."""
    num_stripes = queries["num_stripes"]
    weights = _softmax(queries["vectors"] @ keys["vectors"].T / temperature)
    same_part = queries["part"][:, None] == keys["part"]
    same_slot = queries["slot"][:, None] == keys["slot"]
    retrieved = unit_length(weights @ keys["vectors"], np.float64).reshape(
        -1, num_stripes, queries["vectors"].shape[1]
    )
    own = queries["vectors"].reshape(retrieved.shape)
    returned = _softmax(np.einsum("bqd,bkd->bqk", retrieved, own) / temperature)
    return {
        "part_mass": (weights * same_part).sum(axis=1).mean(),
        "slot_mass": (weights * same_slot).sum(axis=1).mean(),
        "identity_lift": _identity_lift(weights * same_part, same_part, queries, keys),
        "effective_neighbours": np.exp(entropy(weights)).mean(),
        "self_return": np.einsum("bqq->bq", returned).mean(),
        "part_matrix": _mass_matrix(weights, queries["part"], keys["part"], num_stripes),
        "slot_matrix": _mass_matrix(weights, queries["slot"], keys["slot"], num_stripes),
    }


def _identity_lift(part_weights, same_part, queries, keys):
    """Weight on the same person given the right part, over chance; None where it cannot be told.

    A ratio of sums over queries: a query that puts no weight on its part counts for nothing, instead of
    dividing by nearly zero. Chance is the person's share of the keys of that part.
    """
    if "identity" not in queries:
        return None
    same_both = same_part & (queries["identity"][:, None] == keys["identity"])
    chance = same_both.sum(axis=1) / np.maximum(same_part.sum(axis=1), 1)
    expected = (part_weights.sum(axis=1) * chance).sum()
    if expected == 0.0:
        return None
    return (part_weights * same_both).sum() / expected


def _mass_matrix(weights, query_labels, key_labels, num_labels):
    """Mean weight from queries of each label (rows) to keys of each label (columns)."""
    from_label = np.eye(num_labels)[query_labels]
    to_label = np.eye(num_labels)[key_labels]
    counts = from_label.sum(axis=0)[:, None]
    return from_label.T @ weights @ to_label / np.maximum(counts, 1)


def _softmax(logits):
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)
