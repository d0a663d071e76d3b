"""SwAV (Caron et al., 2020): from one view predict which prototypes the batch assigned to the other.

Legend: n images, K prototypes, Q rows of the queue, V views of an image, A of them assign (full-size crops).
"""

import tensorflow as tf


def sinkhorn_codes(scores, epsilon=0.05, iterations=3, queue=None):
    """Soft assignments of images to prototypes that use all prototypes alike (SwAV Eqs. 3 to 5).

    exp(scores / epsilon) is scaled to total 1, then `iterations` times each prototype to mass 1 / K and after
    it each image to mass 1 / n; the result, times n, is the images' codes. In logarithms, since exp(1 / 0.05)
    is 4.9e8. Every image's code sums to 1, the prototypes' masses are only nearly equal.

    A queue of earlier embeddings' scores makes up for a batch smaller than K: its rows take part, and only
    the batch's codes are returned.

    Args:
        scores: float [n, K], cosines of embeddings and prototypes.
        epsilon: positive; towards 0 codes become one-hot.
        iterations: at least 1.
        queue: float [Q, K], the queue's scores by the same prototypes, or None.

    Returns:
        [n, K] in [0, 1], without gradient, float32 (float64 for float64 scores).

    Raises:
        ValueError: epsilon not positive, or fewer than one iteration.
    """
    if epsilon <= 0.0 or iterations < 1:
        raise ValueError(
            f"sinkhorn_codes got epsilon={epsilon}, iterations={iterations}; expected a positive epsilon "
            "such as 0.05, and at least 1 iteration."
        )
    scores = _raised(scores)
    count = tf.shape(scores)[0]
    if queue is not None:
        scores = tf.concat([scores, tf.cast(queue, scores.dtype)], axis=0)
    masses = tf.stop_gradient(scores) / epsilon
    # The total, 1 / K and 1 / n are constants of a whole matrix: the next division takes them out again, and
    # the last one by 1 / n is undone by the final factor n.
    for _ in range(iterations):
        masses -= tf.reduce_logsumexp(masses, axis=0, keepdims=True)
        masses -= tf.reduce_logsumexp(masses, axis=1, keepdims=True)
    return tf.exp(masses[:count])


def swapped_assignment_loss(scores, codes, temperature=0.1):
    """Cross-entropy between the codes of one view and another view's softmax over prototypes (SwAV Eq. 2).

        loss = 1/A sum_a 1/(V - 1) sum_{v != a} mean_i -sum_k codes_a[i, k] log softmax_k(scores_v[i] / t)

    Where the scores tell nothing the value is ln K, 6.21 for 500.

    Args:
        scores: list of V tensors, float [n, K], at least two; those of the views that assign come first.
        codes: list of A tensors, float [n, K], from `sinkhorn_codes` of the first A views; 1 <= A <= V. They
            are constants here.
        temperature: t, positive.

    Returns:
        Scalar, at least 0, float32 (float64 for float64 scores).

    Raises:
        ValueError: fewer than two views, no codes or more codes than views, or a temperature that is not
            positive.
    """
    _check_views(scores, codes)
    if temperature <= 0.0:
        raise ValueError(
            f"swapped_assignment_loss got temperature={temperature}; expected a positive number, such as 0.1."
        )
    losses = [
        tf.reduce_mean(
            tf.nn.softmax_cross_entropy_with_logits(
                labels=tf.stop_gradient(code), logits=_raised(view) / temperature
            )
        )
        for code, view in _swapped(scores, codes)
    ]
    return tf.add_n(losses) / len(losses)


def swapped_accuracy(scores, codes):
    """How often another view's highest prototype is the one that an image was mostly assigned to.

    Args:
        scores: as in `swapped_assignment_loss`.
        codes: the same.

    Returns:
        float32 scalar in [0, 1], the mean over images and all pairs of an assigning view and another. Chance
        is about 1 / K.
    """
    _check_views(scores, codes)
    right = [
        tf.reduce_mean(tf.cast(tf.argmax(code, axis=1) == tf.argmax(view, axis=1), tf.float32))
        for code, view in _swapped(scores, codes)
    ]
    return tf.add_n(right) / len(right)


def prototype_use(scores):
    """How evenly images spread over the prototypes, each counted at its highest score.

    Codes cannot tell: Sinkhorn makes them even whatever the network does. Neither can the mean softmax, which
    is nearly even where all images are one point far from every prototype.

    Args:
        scores: float [n, K], of any number of views one below the other.

    Returns:
        (entropy of the shares in nats, in [0, ln min(n, K)], exp of it is the number of prototypes in use;
        the largest share, in [1 / min(n, K), 1]), float32 scalars. Collapsed embeddings give 0 and 1.
    """
    chosen = tf.one_hot(tf.argmax(scores, axis=1), scores.shape[1], dtype=tf.float32)
    shares = tf.reduce_mean(chosen, axis=0)
    return -tf.reduce_sum(tf.math.xlogy(shares, shares)), tf.reduce_max(shares)


def _swapped(scores, codes):
    """All pairs of a view's code and another view's scores."""
    return [
        (code, view) for own, code in enumerate(codes) for other, view in enumerate(scores) if other != own
    ]


def _check_views(scores, codes):
    if len(scores) < 2 or not 1 <= len(codes) <= len(scores):
        raise ValueError(
            f"Swapped assignment got the scores of {len(scores)} views and the codes of {len(codes)}; "
            "expected at least two views, and codes of one to all of them. Pass lists with a tensor [n, K] "
            "for each view."
        )


def _raised(scores):
    scores = tf.convert_to_tensor(scores)
    return scores if scores.dtype == tf.float64 else tf.cast(scores, tf.float32)
