"""Part-aware cycle contrast: a stripe's neighbour in the other modality leads back to it (MMGL Eqs. 5, 6).

Legend: B pairs, N stripes, D embedding size, Q queries, K keys.
"""

import tensorflow as tf

from mmgl_tf.losses.choices import require_choice

NEGATIVES = ("cross", "both_sets", "forward_only")
BACKWARDS = ("retrieved", "query")
UNIVERSES = ("batch", "pair", "other_slots")
STOP_GRADIENTS = ("none", "universe", "backward")

# Stands for the similarity of a key that is not allowed: far below -1 / temperature for any temperature
# above 1e-8, and finite, so that a query without a single allowed key gets their mean instead of NaN.
_EXCLUDED = -1e9


# A vector shorter than this is divided by it instead of by its length, as PyTorch's cosine does (its epsilon
# of 1e-8). Its square, 1e-16, is far from underflow in float32.
SHORTEST = 1e-8


def l2_normalise(x):
    """Scales vectors to unit length, safely for vectors near zero.

    A vector shorter than `SHORTEST` is divided by that instead of its length, so a zero vector stays zero and
    its gradient is finite: at most 1 / SHORTEST times the incoming one.

    Args:
        x: float [..., D]; half precision is raised to float32 first, where squares do not overflow.

    Returns:
        [..., D], float32 or float64, of length at most 1.
    """
    x = tf.convert_to_tensor(x)
    if x.dtype != tf.float64:
        x = tf.cast(x, tf.float32)
    squared_length = tf.reduce_sum(tf.square(x), axis=-1, keepdims=True)
    return x * tf.math.rsqrt(tf.maximum(squared_length, SHORTEST**2))


def soft_nearest_neighbour(queries, keys, temperature, mask=None):
    """The mean of the keys, weighted by their similarity to each query (MMGL Eq. 5).

        u_q = sum_k softmax_k(<q, key_k> / temperature) key_k

    Args:
        queries: float [..., Q, D].
        keys: float [..., K, D], unit length; leading axes as those of `queries`.
        temperature: positive; towards 0 the nearest key alone is returned.
        mask: bool, broadcastable to [..., Q, K], True where a key may be used (at least one per
            query), or None for all keys.

    Returns:
        [..., Q, D], a convex combination of the keys, so of length at most 1.
    """
    similarities = tf.matmul(queries, keys, transpose_b=True) / temperature
    if mask is not None:
        similarities = tf.where(mask, similarities, tf.cast(_EXCLUDED, similarities.dtype))
    return tf.matmul(tf.nn.softmax(similarities, axis=-1), keys)


def cycle_contrast_loss(
    visible,
    infrared,
    temperature=0.07,
    neighbour_temperature=None,
    renormalise=True,
    negatives="cross",
    backward="retrieved",
    exclude_self=False,
    universe="batch",
    symmetric=True,
    stop_gradient="none",
):
    """Part-aware cycle contrast (MMGL Eqs. 5 and 6).

    Every stripe q retrieves a soft neighbour u_q from the stripes of the other modality, which
    retrieves v_q from the stripes of q's own image. Then u_q and v_q shall be closer to each other
    than to those of the other Q = B * N stripes. With s_ij = cos(u_i, v_j) / temperature:

        cross         1/2 (CE(rows of s, diagonal) + CE(columns of s, diagonal))
        both_sets     the same, with u_i.u_j added to row i and v_i.v_j to column i (j != i)
        forward_only  CE(rows of s, diagonal)

    Where all features are equal the value is ln Q (5.66 at 288 stripes), with `both_sets` ln(2Q - 1).

    Choice: the paper's text starts the backward step from the retrieved vector, its figure from the
    query; which sets the negatives come from is ambiguous. The alternatives are arguments here and
    flags `pcc_*`. A falling value alone proves little; see `mmgl_tf.pretraining.monitor.soft_matching`.

    Args:
        visible: float [B, N, D], unit length, stripe embeddings of visible images.
        infrared: float [B, N, D], unit length, of the infrared images.
        temperature: of the contrast (paper: 0.07).
        neighbour_temperature: of both retrievals; None or 0 for `temperature`.
        renormalise: True to compare retrieved vectors by cosine, False by dot product.
        negatives: one of `NEGATIVES`.
        backward: "retrieved" or "query", what the backward step compares with q's own image.
        exclude_self: True to forbid q itself in the backward step.
        universe: forward step looks in all B images ("batch"), in the paired one ("pair"), or in all but not
            at stripes in the query's own slot ("other_slots", not in the paper).
        symmetric: True for the mean over queries of both modalities, False for visible ones only.
        stop_gradient: "universe" takes the forward step's keys as constants, "backward" v.

    Returns:
        Scalar, at least 0, of the type of `visible`.

    Raises:
        ValueError: for an unknown option.
    """
    require_choice("cycle_contrast_loss", "negatives", negatives, NEGATIVES)
    require_choice("cycle_contrast_loss", "backward", backward, BACKWARDS)
    require_choice("cycle_contrast_loss", "universe", universe, UNIVERSES)
    require_choice("cycle_contrast_loss", "stop_gradient", stop_gradient, STOP_GRADIENTS)
    neighbour_temperature = neighbour_temperature or temperature
    directions = [(visible, infrared), (infrared, visible)] if symmetric else [(visible, infrared)]
    losses = []
    for queries, others in directions:
        forth, back = _cycle(
            queries,
            others,
            neighbour_temperature,
            renormalise,
            backward,
            exclude_self,
            universe,
            stop_gradient,
        )
        losses.append(_contrast(forth, back, temperature, negatives))
    return tf.add_n(losses) / len(losses)


def _cycle(queries, others, temperature, renormalise, backward, exclude_self, universe, stop_gradient):
    """The retrieved vectors u and v of every query, each [B * N, D], as they are to be compared."""
    num_stripes, size = queries.shape[-2:]
    keys = tf.stop_gradient(others) if stop_gradient == "universe" else others
    if universe == "pair":
        forth = soft_nearest_neighbour(queries, keys, temperature)
    else:
        slots = tf.tile(tf.range(num_stripes), tf.shape(queries)[:1])
        elsewhere = slots[:, None] != slots if universe == "other_slots" else None
        forth = soft_nearest_neighbour(
            tf.reshape(queries, [-1, size]), tf.reshape(keys, [-1, size]), temperature, mask=elsewhere
        )
        forth = tf.reshape(forth, tf.shape(queries))
    if renormalise:
        forth = l2_normalise(forth)
    own_mask = ~tf.eye(num_stripes, dtype=tf.bool) if exclude_self else None
    back = soft_nearest_neighbour(
        forth if backward == "retrieved" else queries, queries, temperature, mask=own_mask
    )
    if stop_gradient == "backward":
        back = tf.stop_gradient(back)
    if renormalise:
        back = l2_normalise(back)
    return tf.reshape(forth, [-1, size]), tf.reshape(back, [-1, size])


def _contrast(forth, back, temperature, negatives):
    """Cross-entropy of finding each stripe's own partner, for u and v of shape [Q, D]."""
    across = tf.matmul(forth, back, transpose_b=True) / temperature
    rows, columns = across, tf.transpose(across)
    if negatives == "both_sets":
        rows = tf.concat([rows, _without_diagonal(forth, temperature)], axis=1)
        columns = tf.concat([columns, _without_diagonal(back, temperature)], axis=1)
    positive = tf.linalg.diag_part(across)
    row_loss = tf.reduce_mean(tf.reduce_logsumexp(rows, axis=1) - positive)
    if negatives == "forward_only":
        return row_loss
    column_loss = tf.reduce_mean(tf.reduce_logsumexp(columns, axis=1) - positive)
    return (row_loss + column_loss) / 2.0


def _without_diagonal(vectors, temperature):
    within = tf.matmul(vectors, vectors, transpose_b=True) / temperature
    return tf.linalg.set_diag(within, tf.fill(tf.shape(within)[:1], tf.cast(_EXCLUDED, within.dtype)))
