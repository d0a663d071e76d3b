"""Index plans with labels that repeat no image within a pass: MPANet's sampler and VCD's. NumPy only."""

import numpy as np

from mmgl_tf.pipelines.batches.identity_sampling import drawable_identities, judge_sizes
from mmgl_tf.pipelines.random_plan import Stream, orders, shuffles

_STREAMS = (Stream.VISIBLE_OF_IDENTITY, Stream.INFRARED_OF_IDENTITY)


def steps_in_identity_pass(
    visible_identities,
    infrared_identities,
    identities_per_batch: int,
    images_per_identity: int,
    seed: int,
    once: bool = False,
) -> int:
    """Steps of the first pass of a run; see `passes_plan`.

    Args:
        visible_identities, infrared_identities, identities_per_batch, images_per_identity, seed, once: as in
            `passes_plan`.

    Returns:
        Steps, at least 1. `once`: the identities divided by P, rounded down, 24 of SYSU-MM01's 395 people at
        P = 16 and 25 of RegDB's 206 at P = 8. Else the draw decides how many people are left over: 182 or 183
        of SYSU-MM01 at 16 x 4, 34 of RegDB at 12 x 5.
    """
    sizes = (identities_per_batch, images_per_identity)
    return len(_one_pass(visible_identities, infrared_identities, *sizes, seed, 0, 0, 0, once)[0])


def passes_plan(
    visible_identities,
    infrared_identities,
    identities_per_batch: int,
    images_per_identity: int,
    seed: int,
    epoch: int,
    steps: int,
    once: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The images of every step of one epoch, by identity, without replacement.

    In a pass, an identity's images of each modality are shuffled and cut into portions of K visible and K
    infrared ones, as many as the modality with fewer images gives; what is left of the other is not shown.
    Each step draws P identities out of those that have a portion left, and shows one of each. The pass ends
    when fewer than P are left (MPANet's sampler, run to exhaustion). With `once` each identity has one
    portion, so a pass shows everybody but those that fill no batch (VCD's sampler).

    Choice: an epoch has the same length in every epoch of a run, though passes of MPANet's sampler differ by
    a step. Where a pass ends before its epoch, the next pass of that epoch goes on, its images shuffled anew;
    where it would be longer, it is cut.

    Choice: an identity with fewer than K images of a modality has one portion, in which they are repeated in
    their order. The published samplers draw them with replacement, or fail.

    Args:
        visible_identities: integers [n], the identity (or class) of each visible image.
        infrared_identities: integers [m], of each infrared image, in the same numbering.
        identities_per_batch: P.
        images_per_identity: K, of each modality.
        seed: the run's seed.
        epoch: epoch number from 0.
        steps: length of the epoch; a shorter epoch is the beginning of a longer one.
        once: whether an identity has one portion only.

    Returns:
        (visible, infrared): int64 [steps, P * K] each, indices into the two arrays, which have the same
        identities there, in blocks of K.

    Raises:
        ValueError: P or K is not positive, or fewer than P identities have images of both modalities.
    """
    passes, known = [], 0
    while known < steps:
        passes.append(
            _one_pass(
                visible_identities,
                infrared_identities,
                identities_per_batch,
                images_per_identity,
                seed,
                epoch,
                len(passes),
                known,
                once,
            )
        )
        known += len(passes[-1][0])
    visible, infrared = (np.concatenate(part)[:steps] for part in zip(*passes, strict=True))
    return visible, infrared


def _one_pass(visible_identities, infrared_identities, people, each, seed, epoch, number, first, once):
    """(visible, infrared) int64 [n, P * K] of one pass.

    Args:
        visible_identities, infrared_identities: as in `passes_plan`.
        people: P.
        each: K.
        seed, epoch, once: as in `passes_plan`.
        number: of the pass in its epoch, from 0; it shuffles the images.
        first: steps of the epoch before it; they tell the draws of people apart.
    """
    judge_sizes(people, each)
    identities = [np.asarray(known, np.int64) for known in (visible_identities, infrared_identities)]
    drawable = drawable_identities(*identities, people)
    images = [
        _shuffled_images(known, drawable, seed, stream, epoch, number)
        for known, stream in zip(identities, _STREAMS, strict=True)
    ]
    portions = np.array(
        [1 if once else max(1, min(map(len, both)) // each) for both in zip(*images, strict=True)]
    )
    left, drawn = portions.copy(), []
    for order in orders(
        seed, Stream.IDENTITY_ORDER, epoch, first + np.arange(left.sum() // people), len(drawable)
    ):
        chosen = order[left[order] > 0][:people]
        if len(chosen) < people:
            break
        drawn.append((chosen, portions[chosen] - left[chosen]))
        left[chosen] -= 1
    return tuple(_rows(part, drawn, each) for part in images)


def _shuffled_images(identities, drawable, seed, stream, epoch, number):
    """[indices of an identity's images, shuffled] for each of the drawable identities."""
    order = shuffles(seed, stream, epoch, number + 1, len(identities))[number]
    by_identity = order[np.argsort(identities[order], kind="stable")]
    ordered = identities[by_identity]
    ends = (np.searchsorted(ordered, drawable, side) for side in ("left", "right"))
    return [by_identity[first:end] for first, end in zip(*ends, strict=True)]


def _rows(images, drawn, each):
    """int64 [n, P * K] of one modality: the portions that the steps draw, [(identities, portions)]."""
    within = np.arange(each)
    return np.array(
        [
            [images[k][(portion * each + within) % len(images[k])] for k, portion in zip(*step, strict=True)]
            for step in drawn
        ],
        np.int64,
    ).reshape(len(drawn), -1)
