import numpy as np
import pytest

from benchmarks import retrieval
from mmgl_tf.pipelines.readers.sysu import PROTOCOL
from mmgl_tf.retrieval.protocols import gallery_draws, settings_of


@pytest.fixture(scope="module")
def case():
    query, gallery = retrieval.sysu_like(values=16, queries=190, candidates=1000)
    draws = [
        draw
        for setting in settings_of(PROTOCOL)
        for draw in gallery_draws(
            gallery.identities, gallery.cameras, PROTOCOL, setting.search, setting.shots, trials=1
        )
    ]
    return query, gallery, draws


def test_ours_and_the_peer_agree(case):
    query, gallery, draws = case
    ours = retrieval.our_evaluation(query, gallery, PROTOCOL, 1)()
    assert ours.shape == (4, 22)
    np.testing.assert_allclose(ours, retrieval.peer_evaluation(query, gallery, draws, "float64")(), atol=1e-5)
    mine, theirs = retrieval.scorings(query, gallery, draws, PROTOCOL)
    np.testing.assert_allclose(mine(), theirs("stable"), rtol=1e-12)


def test_the_numbers_of_sysu():
    query, gallery = retrieval.sysu_like(values=1)
    assert (len(query), len(gallery)) == (3803, 6775)
    counts = {
        camera: len(np.unique(gallery.identities[gallery.cameras == camera])) for camera in (1, 2, 4, 5)
    }
    assert counts == {1: 56, 2: 56, 4: 94, 5: 95}
    assert len(np.unique(query.identities[query.cameras == 3])) == 93
    single, _, indoor, _ = (
        gallery_draws(gallery.identities, gallery.cameras, PROTOCOL, s.search, s.shots, trials=1)[0]
        for s in settings_of(PROTOCOL)
    )
    assert (len(single), len(indoor)) == (301, 112)


def test_a_difference_stops_the_benchmark():
    assert retrieval.require_same(np.ones(3), np.ones(3), 0.0) == 0
    with pytest.raises(SystemExit, match=r"differ by 0\.5"):
        retrieval.require_same(np.ones(3), np.array([1, 1.5, 1]), 1e-3)
