import math

import pytest

from mmgl_tf.figures import chance_values
from mmgl_tf.flags.config import options_type
from mmgl_tf.pretraining.mmgl_figures import mmgl_figures
from mmgl_tf.training.plan import TrainingPlan


def chance_of(**changes):
    return chance_values(mmgl_figures(options_type("mmgl")(**changes), TrainingPlan(batch_size=48)))


def test_chance_of_the_default_losses():
    chance = chance_of()
    assert chance["loss/part"] == pytest.approx(math.log(6))
    assert chance["loss/cycle_contrast"] == pytest.approx(math.log(288))
    # A uniform matrix has 36 (1/6)(1 - 1/6) = 5; the noise adds about one to it.
    assert 5.8 < chance["loss/permutation"] < 6.1
    assert chance["accuracy/permutation_whole"] == pytest.approx(1 / 720)
    assert chance["validation/accuracy/part_infrared"] == pytest.approx(1 / 6)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"gumbel_scale": 0.0}, 5.0),
        ({"gumbel_scale": 0.0, "perm_reduction": "mean"}, 5 / 36),
        ({"gumbel_scale": 0.0, "perm_loss": "rank", "perm_reduction": "mean"}, 35 / 12),
        (
            {"gumbel_scale": 0.0, "perm_loss": "rank", "perm_reduction": "mean", "rank_scale": "unit"},
            35 / 300,
        ),
    ],
)
def test_chance_of_the_permutation_loss_without_noise_is_that_of_a_uniform_matrix(changes, expected):
    assert chance_of(**changes)["loss/permutation"] == pytest.approx(expected, rel=1e-4)


def test_more_negatives_make_a_higher_chance_value():
    chance = chance_of(pcc_negatives="both_sets")
    assert chance["loss/cycle_contrast"] == pytest.approx(math.log(575))
