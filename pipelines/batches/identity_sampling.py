"""Index plans with labels: P identities a batch, K visible and K infrared images of each. NumPy only.

Images are drawn with replacement here; `identity_passes` draws them without.
"""

from collections.abc import Iterable

import numpy as np

from mmgl_tf.pipelines.random_plan import Stream, orders, uniforms


def class_labels(identities: Iterable[int]) -> dict[int, int]:
    """The classes of a classifier: an identity's rank in ascending order, shared by the modalities.

    Args:
        identities: identity numbers, repeated or not, of both modalities.

    Returns:
        {identity: class}, classes 0 to C - 1.

    Raises:
        ValueError: an image has no identity.
    """
    known = set(identities)
    if None in known:
        raise ValueError(
            "Images without identity were given; fine-tuning needs the identity of each training image. "
            "Use a data set that is labelled."
        )
    return {int(identity): rank for rank, identity in enumerate(sorted(known))}


def missing_modality(visible_identities, infrared_identities) -> tuple[np.ndarray, np.ndarray]:
    """Identities that an identity plan leaves out, as they were seen in one modality only.

    Args:
        visible_identities: integers [n], of each visible image.
        infrared_identities: integers [m], of each infrared image.

    Returns:
        (without visible images, without infrared images): ascending, distinct.
    """
    visible, infrared = np.unique(visible_identities), np.unique(infrared_identities)
    return np.setdiff1d(infrared, visible), np.setdiff1d(visible, infrared)


def drawable_identities(visible_identities, infrared_identities, identities_per_batch: int) -> np.ndarray:
    """Identities that a batch may show: those with images of both modalities.

    Args:
        visible_identities: integers [n], of each visible image.
        infrared_identities: integers [m], of each infrared image.
        identities_per_batch: P.

    Returns:
        Ascending, distinct.

    Raises:
        ValueError: there are fewer than P.
    """
    drawable = np.intersect1d(visible_identities, infrared_identities)
    if len(drawable) < identities_per_batch:
        left_out = sum(map(len, missing_modality(visible_identities, infrared_identities)))
        raise ValueError(
            f"A batch needs {identities_per_batch} identities with visible and infrared images, but there "
            f"are only {len(drawable)} ({left_out} more have images of one modality only). Lower "
            "--identities_per_batch, or add images of the modality that is missing."
        )
    return drawable


def steps_in_identity_epoch(
    num_visible: int, num_infrared: int, identities_per_batch: int, images_per_identity: int
) -> int:
    """Steps of an epoch of identity batches: floor(max(images of a modality) / (P K)) + 1.

    The published sampler makes that many batches, although it draws with replacement and its loader
    announces one fewer (evaluation spec, section 3).

    Args:
        num_visible: visible images.
        num_infrared: infrared images.
        identities_per_batch: P.
        images_per_identity: K, of each modality.

    Returns:
        Steps, at least 1. SYSU-MM01's 22,258 visible images with 8 x 4 make 696, RegDB's 2,060 make 65.

    Raises:
        ValueError: P or K is not positive.
    """
    judge_sizes(identities_per_batch, images_per_identity)
    return max(num_visible, num_infrared) // (identities_per_batch * images_per_identity) + 1


def identity_plan(
    visible_identities,
    infrared_identities,
    identities_per_batch: int,
    images_per_identity: int,
    seed: int,
    epoch: int,
    steps: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The images of every step of one epoch, by identity (evaluation spec, section 3).

    A step draws P identities without replacement, and of each K visible and K infrared images with
    replacement: the published sampler repeats images even where there are more than K. Row by row the
    identity stands in blocks of K, the visible and the infrared ones at the same places. Identities
    without images of both modalities are never drawn, see `missing_modality`.

    Args:
        visible_identities: integers [n], the identity (or class) of each visible image.
        infrared_identities: integers [m], of each infrared image, in the same numbering.
        identities_per_batch: P.
        images_per_identity: K, of each modality.
        seed: the run's seed.
        epoch: epoch number from 0.
        steps: length of the epoch; a shorter epoch is the beginning of a longer one.

    Returns:
        (visible, infrared, labels): int64 [steps, P * K] each; indices into the two arrays, and the
        number that both have there.

    Raises:
        ValueError: P or K is not positive, or fewer than P identities have images of both modalities.
    """
    judge_sizes(identities_per_batch, images_per_identity)
    visible_identities = np.asarray(visible_identities, np.int64)
    infrared_identities = np.asarray(infrared_identities, np.int64)
    drawable = drawable_identities(visible_identities, infrared_identities, identities_per_batch)
    positions = np.arange(steps)
    drawn = orders(seed, Stream.IDENTITY_ORDER, epoch, positions, len(drawable))[:, :identities_per_batch]
    places = np.repeat(drawn, images_per_identity, axis=1)
    visible, infrared = (
        _images_of(drawable, places, identities, uniforms(seed, stream, epoch, positions, places.shape[1]))
        for identities, stream in (
            (visible_identities, Stream.VISIBLE_OF_IDENTITY),
            (infrared_identities, Stream.INFRARED_OF_IDENTITY),
        )
    )
    return visible, infrared, drawable[places]


def _images_of(drawable, places, identities, draws):
    """An image of identity drawable[places] for each of the draws in (0, 1), uniform over its images."""
    by_identity = np.argsort(identities, kind="stable")
    ordered = identities[by_identity]
    first = np.searchsorted(ordered, drawable, "left")
    number = np.searchsorted(ordered, drawable, "right") - first
    return by_identity[first[places] + (draws * number[places]).astype(np.int64)]


def judge_sizes(identities_per_batch: int, images_per_identity: int) -> None:
    """Refuses sizes of which no batch can be made.

    Raises:
        ValueError: P or K is not positive.
    """
    if identities_per_batch < 1 or images_per_identity < 1:
        raise ValueError(
            f"{identities_per_batch} identities with {images_per_identity} images each per batch; expected "
            "at least 1 of both."
        )
