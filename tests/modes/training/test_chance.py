import math

import pytest

from mmgl_tf.flags.config import from_flat
from mmgl_tf.modes.training.chance import chance_values


def test_chance_of_the_default_losses():
    chance = chance_values(from_flat({}))
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
    assert chance_values(from_flat(changes))["loss/permutation"] == pytest.approx(expected, rel=1e-4)


def test_more_negatives_make_a_higher_chance_value():
    chance = chance_values(from_flat({"pcc_negatives": "both_sets", "batch_size": 48}))
    assert chance["loss/cycle_contrast"] == pytest.approx(math.log(575))
