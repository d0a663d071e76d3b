"""How two modalities and many people lie in embedding space: the figures that a map of it only hints at.

NumPy only. A t-SNE picture keeps neighbours, not distances; these are computed on the embeddings themselves.

Legend: n visible images, m infrared images, D embedding size, I identities.
"""

import numpy as np

from mmgl_tf.retrieval.unit_length import unit_length

BLOCK_PAIRS = 1 << 22  # similarities held at once: 34 MB of float64, whatever the number of images


def modality_gap(visible, infrared):
    """Distance between the modalities' means over the spread inside a modality.

    The spread is the root mean square distance to the own mean, averaged over the modalities.

    Args:
        visible: float [n, D]; scaled to unit length first.
        infrared: float [m, D]; the same.

    Returns:
        float, at least 0; infinite where each modality is a point of its own, 0 where all are one point.
    """
    visible, infrared = unit_length(visible, np.float64), unit_length(infrared, np.float64)
    gap = np.linalg.norm(visible.mean(axis=0) - infrared.mean(axis=0))
    spread = np.mean(
        [np.sqrt(np.square(part - part.mean(axis=0)).sum(axis=1).mean()) for part in (visible, infrared)]
    )
    return _ratio(gap, spread)


def geometry(visible, infrared, visible_identities, infrared_identities):
    """What Figures 3 and 4 of the paper show, in numbers: modality gap, compactness, separability.

    All are computed on vectors of unit length, in float64.

    Args:
        visible: float [n, D]; scaled to unit length first.
        infrared: float [m, D]; the same.
        visible_identities: int [n], who is on each image.
        infrared_identities: int [m].

    Returns:
        dict of floats:
        - "modality_gap": see `modality_gap`.
        - "compactness": mean distance of an image to its identity's centroid (the mean of that person's
          images in both modalities) over the mean distance between two identities' centroids; small is good,
          infinite where all centroids are one point, NaN for fewer than two identities.
        - "positive_similarity", "negative_similarity": mean cosine similarity of a visible and an infrared
          image of the same person, and of different persons, in -1..1; NaN where there is no such pair.
        - "d_prime": how far apart those two lie, (positive - negative) / sqrt((positive variance + negative
          variance) / 2); 0 is chance, infinite where neither varies and they differ.

    Raises:
        ValueError: embeddings that are not [n, D] and [m, D], without images, or not one identity an image.
    """
    visible, infrared = np.asarray(visible), np.asarray(infrared)
    identities = np.asarray(visible_identities), np.asarray(infrared_identities)
    if visible.ndim != 2 or infrared.ndim != 2 or visible.shape[1] != infrared.shape[1]:
        raise ValueError(
            f"Got visible embeddings {visible.shape} and infrared ones {infrared.shape}; expected [n, D] and "
            "[m, D]. Pool feature maps first."
        )
    if (
        not len(visible)
        or not len(infrared)
        or tuple(map(np.shape, identities)) != ((len(visible),), (len(infrared),))
    ):
        raise ValueError(
            f"Got {len(visible)} visible and {len(infrared)} infrared embeddings with identities of shape "
            f"{identities[0].shape} and {identities[1].shape}; expected at least one image of each modality "
            "and one identity an image."
        )
    visible, infrared = unit_length(visible, np.float64), unit_length(infrared, np.float64)
    positive, negative, spread = _similarities(visible, infrared, *identities)
    return {
        "modality_gap": modality_gap(visible, infrared),
        "compactness": _compactness(np.concatenate([visible, infrared]), np.concatenate(identities)),
        "positive_similarity": positive,
        "negative_similarity": negative,
        "d_prime": _ratio(positive - negative, spread),
    }


def _compactness(embeddings, identities):
    """Mean distance to the own centroid over the mean distance between two centroids."""
    people, person = np.unique(identities, return_inverse=True)
    if len(people) < 2:
        return float("nan")
    order = np.argsort(person, kind="stable")
    counts = np.bincount(person)
    sums = np.add.reduceat(embeddings[order], np.cumsum(counts) - counts, axis=0)
    centroids = sums / counts[:, None]
    within = np.linalg.norm(embeddings - centroids[person], axis=1).mean()
    # Squared distances by the binomial formula: [I, I] numbers instead of [I, I, D]. Its error, 1e-16, is
    # 1e-8 after the root, far below any distance of interest.
    squares = np.square(centroids).sum(axis=1)
    squared = squares[:, None] + squares - 2.0 * (centroids @ centroids.T)
    upper = np.triu_indices(len(people), 1)
    return _ratio(within, np.sqrt(np.maximum(squared[upper], 0.0)).mean())


def _similarities(visible, infrared, visible_identities, infrared_identities):
    """Mean similarity of positive and of negative pairs, and the root of their mean variance."""
    # Moments about a value in their midst: about zero, variances would drown in rounding.
    middle = visible.mean(axis=0) @ infrared.mean(axis=0)
    counts, sums, squares = np.zeros(2), np.zeros(2), np.zeros(2)
    rows = max(1, BLOCK_PAIRS // len(infrared))
    for start in range(0, len(visible), rows):
        values = visible[start : start + rows] @ infrared.T - middle
        same = visible_identities[start : start + rows, None] == infrared_identities
        for kind, chosen in enumerate((values[same], values[~same])):
            counts[kind] += len(chosen)
            sums[kind] += chosen.sum()
            squares[kind] += chosen @ chosen
    counts[counts == 0] = np.nan
    means = sums / counts
    variances = np.maximum(squares / counts - np.square(means), 0.0)
    return *(float(mean) for mean in means + middle), np.sqrt(variances.mean())


def _ratio(above, below):
    """above / below, with 0 / 0 = 0 and x / 0 infinite; below 1e-7, both are rounding."""
    if below < 1e-7:
        return 0.0 if abs(above) < 1e-7 else float(np.copysign(np.inf, above))
    return float(above / below)
