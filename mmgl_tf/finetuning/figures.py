"""What fine-tuning reports: identities named, triplets in order, validation identities found."""

import math

from mmgl_tf.figures import HAS_NONE, OF_A_SEARCH, Figure

# What curves alone show: how embeddings lie, which no table compares.
_CURVES = {"source": "search", "summary": False}
# Of embeddings of validation identities, see `mmgl_tf.retrieval.geometry`.
SEARCH = (
    *OF_A_SEARCH,
    Figure("embedding/modality_gap", "embedding: modality gap", HAS_NONE, **_CURVES),
    Figure("embedding/compactness", "embedding: compactness", HAS_NONE, **_CURVES),
    Figure("embedding/positive_similarity", "cosine of the same person", HAS_NONE, "free", **_CURVES),
    Figure("embedding/negative_similarity", "cosine of different people", HAS_NONE, "free", **_CURVES),
    Figure("embedding/d_prime", "same and different people apart, d prime", 0.0, **_CURVES),
)


def chance_of_identity(plan):
    """What a network that knows nothing has: (cross-entropy of identities, share of them named right).

    Args:
        plan: `mmgl_tf.training.plan.TrainingPlan`; without identities neither has a chance.
    """
    classes = plan.num_identities
    return (math.log(classes), 1 / classes) if classes else (HAS_NONE, HAS_NONE)


def triplet_figures(options, plan):
    """The figures of cross-entropy beside a triplet loss.

    Args:
        options: settings of the method.
        plan: `mmgl_tf.training.plan.TrainingPlan`.

    Returns:
        tuple of `Figure`.
    """
    del options
    chance, share = chance_of_identity(plan)
    return (
        Figure("loss/identity", "identity cross-entropy", chance, short="identity"),
        Figure("loss/triplet", "triplet loss", HAS_NONE, short="triplet"),
        Figure(
            "accuracy/identity",
            "identity named right",
            share,
            "share",
            short="identity accuracy",
        ),
        # Whether a random positive is nearer than a random negative hangs on how the loss chooses them.
        Figure("accuracy/triplet", "positive nearer than negative", HAS_NONE, "share"),
        Figure("embedding/spread", "embedding: spread", HAS_NONE, summary=False),
    )
