import numpy as np
import pytest

from mmgl_tf.pipelines.readers.regdb import PROTOCOL as REGDB
from mmgl_tf.pipelines.readers.sysu import PROTOCOL as SYSU
from mmgl_tf.retrieval.chance import Chance, chance_of
from mmgl_tf.retrieval.labelled import LabelledFeatures
from mmgl_tf.retrieval.protocols import evaluate, settings_of
from mmgl_tf.retrieval.unit_length import unit_length

PEOPLE = 40


def images(cameras, each, features, seed=0):
    """Images of all people; `features` is a function (people, cameras, dice) -> rows."""
    groups = [(identity, camera) for identity in range(PEOPLE) for camera in cameras]
    identities, places = np.repeat(np.array(groups), each, axis=0).T
    rows = unit_length(features(identities, places, np.random.default_rng(seed)))
    return LabelledFeatures(rows, identities, places)


def sides(features):
    return images((3, 6), 4, features, 1), images((1, 2, 4, 5), 4, features, 2)


def blind(identities, cameras, dice):
    return dice.standard_normal((len(identities), 64))


def of_cameras(identities, cameras, dice):
    """Features that say which camera it was, and hardly anything else."""
    return np.eye(8)[cameras] + 1e-3 * dice.standard_normal((len(cameras), 8))


def nearly_collapsed(identities, cameras, dice):
    """Just above what ends a run as collapsed."""
    return np.ones(16) + 1e-2 * dice.standard_normal((len(identities), 16))


def weak(identities, cameras, dice):
    """A trace of who it is, far below what is seen."""
    return 0.7 * np.eye(PEOPLE)[identities] + dice.standard_normal((len(identities), PEOPLE)) / 2


def mean_precision(known, protocol):
    setting = settings_of(protocol)[0]._asdict()
    return evaluate(*known, protocol, **setting).mean("mAP")


@pytest.mark.parametrize("protocol", [SYSU, REGDB], ids=["sysu", "regdb"])
def test_what_knows_nobody_is_not_above_chance_and_a_trace_of_them_is(protocol):
    chance = chance_of(*sides(blind), protocol, settings_of(protocol)[0])
    for features in (blind, of_cameras, nearly_collapsed):
        assert mean_precision(sides(features), protocol) <= chance.limit, features.__name__
    assert mean_precision(sides(weak), protocol) > chance.limit


def test_the_mean_is_that_of_random_ranks():
    """One gallery image a person: the rank of the right one is uniform, and mAP the mean of 1 / rank."""
    query, gallery = images((3,), 6, blind), images((1,), 1, blind)
    chance = chance_of(query, gallery, REGDB, settings_of(REGDB)[0], draws=200)
    expected = np.mean(1.0 / np.arange(1, PEOPLE + 1))
    assert abs(chance.mean - expected) < 4 * chance.deviation / 200**0.5
    assert chance.limit == chance.mean + 3 * chance.deviation


def test_it_is_a_function_of_its_seed_and_looks_at_no_feature():
    known = sides(blind), sides(of_cameras)
    first, second = (chance_of(*pair, SYSU, settings_of(SYSU)[0], draws=3) for pair in known)
    assert first == second and isinstance(first, Chance)
    assert chance_of(*known[0], SYSU, settings_of(SYSU)[0], draws=3, seed=1) != first
