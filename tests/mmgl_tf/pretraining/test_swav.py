import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.flags.config import options_type
from mmgl_tf.pipelines.augmentation.operations.gaussian_blur import GaussianBlur
from mmgl_tf.pipelines.augmentation.operations.resized_crop import ResizedCrop
from mmgl_tf.pretraining.swav import SwAv
from mmgl_tf.training.plan import TrainingPlan
from mmgl_tf.training.step.state import move_state
from tests.contracts.cases import take_step
from tests.mmgl_tf.pretraining.pixel_encoder import IMAGES, batch, build, rows, unit

EACH, D = 2 * IMAGES, 8
QUEUE = 2 * EACH
LENGTH = 2  # steps of an epoch
PLAN = TrainingPlan(LENGTH, 4, IMAGES)


def model_of(**changes):
    return build("swav", PLAN, **{"swav_small_crops": 0, "swav_queue_size": QUEUE} | changes)


def codes_of(scores, others=None):
    """Sinkhorn as the paper writes it; rows of the queue take part, and get no code."""
    together = scores if others is None else np.concatenate([scores, others])
    masses = np.exp(together.astype(np.float64) / 0.05).T
    for _ in range(3):
        masses /= masses.sum(axis=1, keepdims=True) * len(masses)
        masses /= masses.sum(axis=0) * masses.shape[1]
    return (masses * masses.shape[1]).T[: len(scores)]


def swapped(scores, queues):
    """The mean over the assigning views of the mean over all other views."""
    losses = []
    for own in (0, 1):
        codes = codes_of(scores[own], queues and queues[own])
        for view in [view for number, view in enumerate(scores) if number != own]:
            logits = view / 0.1
            shares = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
            losses.append(-(codes * shares).sum(axis=1).mean())
    return np.mean(losses)


@pytest.mark.parametrize("scope", ["mixed", "per_modality"])
def test_the_queue_takes_part_in_the_codes_of_its_view_once_it_is_full(scope):
    model = model_of(view_scope=scope, swav_small_crops=1)
    dice = np.random.default_rng(3)
    queue = unit(dice.standard_normal(model.queue.shape)).astype(np.float32)
    model.queue.assign(queue)
    kernel = model.prototypes.kernel.numpy()
    views = [unit(z) for z in rows(D, 1, 2, 3).values()]
    scores = [z @ kernel.T for z in views]
    outputs = {f"projection_{k + 1}": tf.constant(views[k]) for k in (0, 1)}
    outputs |= {f"scores_{k + 1}": tf.constant(value) for k, value in enumerate(scores)}
    # The queue is [view, modality, rows, D]; a loss of both modalities reads both halves.
    if scope == "mixed":
        groups = [(slice(None), queue.reshape(2, QUEUE, D))]
    else:
        groups = [(slice(IMAGES), queue[:, 0]), (slice(IMAGES, None), queue[:, 1])]
    for filled in (0, EACH, QUEUE):
        model.queued.assign(filled)
        terms, measures = model.losses(model.joint(outputs), None)
        expected = [
            swapped([s[part] for s in scores], [q @ kernel.T for q in kept] if filled == QUEUE else None)
            for part, kept in groups
        ]
        assert float(terms["swapped"]) == pytest.approx(np.mean(expected), rel=1e-5), filled
        assert float(measures["prototypes/queue"]) == pytest.approx(filled / QUEUE)


def test_the_queue_fills_from_its_epoch_on_newest_first_and_forgets_the_oldest():
    model = model_of(swav_queue_start_epoch=1)
    kept = np.zeros((2, 2, QUEUE // 2, D), np.float32)
    for step in range(3 * LENGTH):
        new = rows(D, "projection_1", "projection_2", seed=step)
        move_state(model.after_update({n: tf.constant(v) for n, v in new.items()}, np.int64(step)), None)
        if step >= LENGTH:
            for view in (0, 1):
                for modality, own in enumerate(np.split(new[f"projection_{view + 1}"], 2)):
                    kept[view, modality] = np.concatenate([own, kept[view, modality]])[: QUEUE // 2]
        np.testing.assert_array_equal(model.queue, kept)
        assert int(model.queued) == min(max(step + 1 - LENGTH, 0) * EACH, QUEUE)


def test_prototypes_stand_still_in_the_frozen_epoch_and_are_of_unit_length_after_it():
    model = model_of(swav_frozen_epochs=1)
    seen = [model.prototypes.kernel.numpy()]
    for step in range(LENGTH + 1):
        take_step(model, batch(seed=step))
        seen.append(model.prototypes.kernel.numpy())
    for step in range(LENGTH):
        np.testing.assert_allclose(seen[step + 1], seen[0], atol=1e-6)  # normalised anew
    assert np.abs(seen[-1] - seen[0]).max() > 1e-3
    np.testing.assert_allclose(np.linalg.norm(seen[-1], axis=1), 1.0, rtol=1e-5)


def test_small_views_are_blurred_as_large_ones_and_show_less():
    options = options_type("swav")(view_blur=0.25, swav_small_crops=2)
    views = SwAv.recipe(options).views
    assert len(views) == 2 * (2 + 2)
    blurs = [op.probability for view in views for op in view.chain if isinstance(op, GaussianBlur)]
    assert blurs == [0.25] * len(views)
    shares = [
        (op.min_scale, op.max_scale) for view in views for op in view.chain if isinstance(op, ResizedCrop)
    ]
    assert sorted(shares) == [(0.1, 0.35)] * 4 + [(0.35, 1.0)] * 4
    assert sorted({(view.height, view.width) for view in views}) == [(0, 0), (128, 64)]
