import numpy as np
import tensorflow as tf

from mmgl_tf.losses.cycle_contrast import cycle_contrast_loss, l2_normalise
from mmgl_tf.losses.cycle_sets import by_body_part, without_slot_means

DICE = np.random.default_rng(3)
B, N, D = 4, 3, 5


def stripes_and_orders():
    stripes = DICE.standard_normal((B, N, D))
    return stripes, np.stack([DICE.permutation(N) for _ in range(B)]).astype(np.int32)


def test_stripes_are_gathered_by_the_body_part_they_show():
    stripes, order = stripes_and_orders()
    found = by_body_part(tf.constant(stripes), tf.constant(order)).numpy()
    assert found.shape == (N, B, D)
    for image in range(B):
        for slot in range(N):
            assert np.array_equal(found[order[image, slot], image], stripes[image, slot])


def test_contrast_by_body_part_does_not_depend_on_the_shuffle():
    people = [l2_normalise(tf.constant(DICE.standard_normal((B, N, D)))).numpy() for _ in range(2)]
    values = []
    for _ in range(2):
        sides = []
        for parts in people:
            order = np.stack([DICE.permutation(N) for _ in range(B)]).astype(np.int32)
            shuffled = np.take_along_axis(parts, order[:, :, None], axis=1)
            sides.append(by_body_part(tf.constant(shuffled), tf.constant(order)))
        values.append(float(cycle_contrast_loss(*sides, universe="pair")))
    assert np.isclose(*values, rtol=1e-9)


def test_slot_means_are_gone_and_nothing_else():
    stripes, _ = stripes_and_orders()
    found = without_slot_means(tf.constant(stripes)).numpy()
    assert np.allclose(found.mean(axis=0), 0.0, atol=1e-12)
    assert np.allclose(found[1] - found[0], stripes[1] - stripes[0])
    marks = DICE.standard_normal((1, N, D))
    assert np.allclose(without_slot_means(tf.constant(stripes + marks)), found)


def test_other_slots_never_look_at_the_querys_own_slot():
    visible = l2_normalise(tf.constant(DICE.standard_normal((B, N, D)))).numpy()
    infrared = l2_normalise(tf.constant(DICE.standard_normal((B, N, D)))).numpy()
    options = {"temperature": 0.2, "symmetric": False}
    found = float(
        cycle_contrast_loss(tf.constant(visible), tf.constant(infrared), universe="other_slots", **options)
    )
    forth, back = [], []
    for b in range(B):
        for n in range(N):
            keys = np.array([infrared[i, m] for i in range(B) for m in range(N) if m != n])
            forth.append(unit(soften(visible[b, n], keys)))
            back.append(unit(soften(forth[-1], visible[b])))
    scores = np.array(forth) @ np.array(back).T / 0.2
    rows = np.log(np.exp(scores).sum(axis=1)) - np.diag(scores)
    columns = np.log(np.exp(scores).sum(axis=0)) - np.diag(scores)
    assert np.isclose(found, (rows.mean() + columns.mean()) / 2, rtol=1e-6)


def soften(query, keys):
    weights = np.exp(keys @ query / 0.2)
    return weights @ keys / weights.sum()


def unit(vector):
    return vector / np.linalg.norm(vector)
