"""How far embeddings are from being one: their spread and the dimensions that they use. NumPy only.

Legend: M vectors, D embedding size.
"""

import numpy as np

from mmgl_tf.pretraining.monitor.entropy import entropy
from mmgl_tf.retrieval.unit_length import unit_length


def feat_std(embeddings):
    """Spread of embeddings on the unit sphere: standard deviation over vectors, averaged over dimensions.

    The deviation is the unbiased one (over M - 1), as the self-supervised field's logs have it. Look at each
    modality apart too: two points, one a modality, have a healthy joint spread.

    Args:
        embeddings: float [M, D], M at least 2; scaled to unit length first.

    Returns:
        float, at least 0: about 1 / sqrt(D) for evenly spread vectors, 0.022 for 2048 dimensions and 0.088
        for 128; 0 for collapsed ones.

    Raises:
        ValueError: for fewer than two embeddings.
    """
    unit = _several("feat_std", embeddings)
    return float(unit.std(axis=0, ddof=1).mean())


def mean_cosine(embeddings):
    """Mean cosine similarity of two different embeddings.

    Args:
        embeddings: float [M, D], M at least 2. A zero vector has cosine 0 with all others.

    Returns:
        float in [-1 / (M - 1), 1]: 1 for collapsed embeddings, about 0 for evenly spread ones.

    Raises:
        ValueError: for fewer than two embeddings.
    """
    unit = _several("mean_cosine", embeddings)
    # The sum over all ordered pairs is that of the sum with itself, without the pairs of one with itself.
    pairs = np.square(unit.sum(axis=0)).sum() - np.square(unit).sum()
    return float(pairs / (len(unit) * (len(unit) - 1)))


def effective_rank(embeddings):
    """How many dimensions the embeddings use: exp(entropy) of the normalised singular values.

    Choice: the mean is not removed, so vectors that are all equal have rank 1, not the rank of their noise.

    Args:
        embeddings: float [M, D].

    Returns:
        float in [1, min(M, D)]; 0 where all entries are zero.
    """
    singular = np.linalg.svd(np.asarray(embeddings, np.float64), compute_uv=False)
    total = singular.sum()
    if total == 0.0:
        return 0.0
    return float(np.exp(entropy(singular / total)))


def _several(function, embeddings):
    """Unit vectors of at least two embeddings."""
    if np.ndim(embeddings) != 2 or len(embeddings) < 2:
        raise ValueError(
            f"{function} got embeddings of shape {np.shape(embeddings)}; expected [M, D] with at least two "
            "rows. Leave out a modality without images."
        )
    return unit_length(embeddings, np.float64)
