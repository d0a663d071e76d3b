"""When a method's epochs are judged; and that SimSiam and Barlow Twins hand over what their losses see."""

import math

import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.backbones.encoder import Encoder
from mmgl_tf.flags.config import options_type
from mmgl_tf.losses.cross_correlation import barlow_twins
from mmgl_tf.pretraining import PRETRAINING
from mmgl_tf.pretraining.monitor.collapse import RULES, projection_figures
from mmgl_tf.training.plan import TrainingPlan

IMAGES, SIZE = 12, 16


def made(method, plan=TrainingPlan(), **settings):  # noqa: B008
    options = options_type(method)(**{f"{method}_embedding_size": SIZE}, **settings)
    model = PRETRAINING[method](Encoder("resnet10", "two"), options, 0, plan)
    model.projector.build((None, SIZE))
    return model


def drawn(seed=0):
    return tf.constant(np.random.RandomState(seed).randn(2 * IMAGES, SIZE), tf.float32)


def figures(rows):
    return projection_figures(
        *(
            {"visible": value[:IMAGES].numpy(), "infrared": value[IMAGES:].numpy()}
            for value in (rows["judged"], rows["before_norm"])
        )
    )


def share(found):
    return found["projection/variance_share"]


def test_simsiams_last_norm_hides_a_point_from_the_spread_alone():
    model = made("simsiam", simsiam_hidden_size=4)
    sound = model.judged_rows(drawn(), IMAGES)
    np.testing.assert_array_equal(sound["judged"], model.head(drawn(), training=True)["projection"])
    before = model.projector.before_last_norm(drawn(), training=True).numpy()
    np.testing.assert_allclose(sound["before_norm"], before / math.sqrt(1e-5), rtol=1e-6)
    assert share(figures(sound)) > 0.99
    # All images become nearly the last layer's offset.
    linear = model.projector.linears[-1]
    linear.kernel.assign(1e-5 * linear.kernel)
    linear.bias.assign(tf.ones_like(linear.bias))
    found = figures(model.judged_rows(drawn(), IMAGES))
    assert found["projection/spread"] > 0.9 and found["projection/effective_rank"] > 5
    assert share(found) < 1e-3


def barlow_twins_of(rows, **settings):
    """A model whose projector hands on what it gets; figures of some rows."""
    model = made("barlow_twins", **settings)
    model.head = lambda features, training: {"projection": features}
    return model.judged_rows(rows, IMAGES)


def test_barlow_twins_is_judged_by_what_its_loss_sees():
    """A constant beside the embeddings is none of the loss's business, so it is none of the monitor's."""
    rows, constant = drawn(), tf.constant(25.0 * np.random.RandomState(1).choice([-1, 1], SIZE), tf.float32)
    losses = [barlow_twins(one, drawn(2) + rows)[0] for one in (rows, rows + constant)]
    assert float(losses[1]) == pytest.approx(float(losses[0]), rel=1e-4)
    found, moved = (figures(barlow_twins_of(one)) for one in (rows, rows + constant))
    assert moved == pytest.approx(found, rel=1e-3, abs=1e-3)
    assert found["projection/spread"] > 0.9 and share(found) > 0.99


def test_barlow_twins_noise_that_is_standardised_is_seen():
    found = figures(barlow_twins_of(3.0 + 1e-3 * drawn()))
    assert found["projection/spread"] > 0.9
    assert share(found) < 0.1


def test_barlow_twins_standardises_what_is_compared():
    rows = drawn() + tf.repeat([[3.0], [-3.0]], IMAGES, axis=0)
    value = rows.numpy().astype(np.float64)

    def by_hand(part):
        return (part - part.mean(axis=0)) / np.sqrt(part.var(axis=0) + 1e-5)

    mixed = barlow_twins_of(rows, view_scope="mixed")["judged"]
    np.testing.assert_allclose(mixed, by_hand(value), atol=1e-5)
    apart = barlow_twins_of(rows, view_scope="per_modality")["judged"]
    np.testing.assert_allclose(apart, np.concatenate([by_hand(v) for v in np.split(value, 2)]), atol=1e-5)


def first_stop(figure, epochs, warmup, value=0.0):
    """The first epoch at whose end a run is judged, of one whose figure is always below its limit."""
    model = made("simsiam", TrainingPlan(1, epochs, warmup_epochs=warmup))
    rows = {epoch: {"epoch": epoch, figure: value} for epoch in range(1, epochs + 1)}
    for last in range(1, epochs + 1):
        so_far = {epoch: rows[epoch] for epoch in range(1, last + 1)}
        if model.judged(so_far):
            assert not model.alarm(so_far)
            return last
    return None


@pytest.mark.parametrize(
    ("epochs", "warmup", "stop"),
    [(100, 10.0, 12), (100, 0.0, 4), (12, 1.2, 4), (12, 2.5, 5), (4, 3.0, 4), (2, 0.5, None), (3, 0.0, 3)],
)
def test_the_warm_up_is_the_learning_rates_at_least_two_epochs_at_most_half_a_run(epochs, warmup, stop):
    assert first_stop("projection/spread", epochs, warmup) == stop


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.figure)
@pytest.mark.parametrize("suffix", ["", "_visible", "_infrared"])
def test_every_figure_of_every_group_counts(rule, suffix):
    assert first_stop(rule.figure + suffix, 12, 0.0, 0.99 * rule.collapsed) == 4
    assert first_stop(rule.figure + suffix, 12, 0.0, rule.collapsed) is None


def test_an_alarm_is_not_the_end():
    model = made("simsiam", TrainingPlan(1, 12))
    rows = {epoch: {"projection/spread_visible": 0.1} for epoch in range(1, 5)}
    assert not model.judged(rows)
    assert "visible embeddings have 0.1 of an even spread" in model.alarm(rows)
    assert not model.alarm({epoch: {"projection/spread_visible": 1.0} for epoch in range(1, 5)})
