import dataclasses
import json

import numpy as np
import pytest

from mmgl_tf.pipelines.readers.regdb import PROTOCOL as REGDB
from mmgl_tf.pipelines.readers.sysu import PROTOCOL as SYSU
from mmgl_tf.pipelines.records import Protocol
from mmgl_tf.retrieval.labelled import LabelledFeatures
from mmgl_tf.retrieval.metrics import score
from mmgl_tf.retrieval.protocols import Setting, evaluate, evaluate_settings, gallery_draws, settings_of
from tests.mmgl_tf.golden_waves import waves
from tests.mmgl_tf.retrieval.slow_scores import slow_scores


def labelled(seed, people, cameras, images, values=16):
    """People of few traits: found better than by chance."""
    rng = np.random.default_rng(seed)
    groups = [(identity, camera) for identity in range(people) for camera in cameras]
    identities, places = np.repeat(np.array(groups), images, axis=0).T
    traits = np.random.default_rng(99).standard_normal((people, values))
    features = traits[identities] + 1.5 * rng.standard_normal((len(identities), values))
    return LabelledFeatures(features / np.linalg.norm(features, axis=1, keepdims=True), identities, places)


@pytest.fixture(scope="module")
def sides():
    return labelled(0, 9, (3, 6), 3), labelled(1, 9, (1, 2, 4, 5), 12)


def slow_trial(query, gallery, indices, excluded, once):
    chosen = gallery.take(indices)
    return slow_scores(
        -(query.features @ chosen.features.T),
        query.identities,
        chosen.identities,
        query.cameras,
        chosen.cameras,
        excluded,
        once,
        20,
    )


def require_equal(result, expected):
    assert result.trials == len(expected)
    for scores, (cmc, precision, penalty, valid) in zip(result.scores, expected, strict=True):
        np.testing.assert_allclose(scores.cmc, cmc, rtol=1e-12)
        assert (scores.mAP, scores.mINP, scores.valid) == pytest.approx((precision, penalty, valid))


@pytest.mark.parametrize("block_bytes", [4 * 9 * 4 * 12 * 5, 2**28])
def test_sysu_settings_as_the_slow_evaluator(sides, block_bytes):
    query, gallery = sides
    results = evaluate_settings(query, gallery, SYSU, trials=3, block_bytes=block_bytes)
    assert [result.setting for result in results] == settings_of(SYSU)
    assert [result.gallery for result in results] == [36, 360, 18, 180]
    for result in results:
        draws = gallery_draws(
            gallery.identities, gallery.cameras, SYSU, result.setting.search, result.setting.shots, trials=3
        )
        require_equal(result, [slow_trial(query, gallery, draw, {3: (2,)}, True) for draw in draws])
    assert 0.2 < results[0].mean("rank1") < 1


def test_both_directions_of_regdb():
    visible, infrared = labelled(0, 12, (1,), 4), labelled(1, 12, (2,), 5)
    forth, back = evaluate_settings(visible, infrared, REGDB)
    require_equal(forth, [slow_trial(visible, infrared, np.arange(60), {}, False)])
    require_equal(back, [slow_trial(infrared, visible, np.arange(48), {}, False)])
    assert (forth.queries, forth.gallery, forth.draw) == (48, 60, "all")
    assert (back.queries, back.gallery) == (60, 48)
    assert forth.mean("mAP") != back.mean("mAP")
    require_equal(evaluate(visible, infrared, REGDB, direction="infrared_to_visible"), [
        slow_trial(infrared, visible, np.arange(48), {}, False)
    ])  # fmt: skip


def long_waves(rows, phase, identities):
    """Golden inputs that are not of unit length, as `LabelledFeatures` has them."""
    values = waves(rows, 6, phase).astype("float64")
    lengths = np.linalg.norm(values, axis=1)
    return LabelledFeatures(values / lengths[:, None], identities, np.full(rows, -1), lengths)


def test_of_known_lengths_the_euclidean_distance_counts_as_in_mpanets_evaluator():
    """Golden numbers of RegDB's two evaluators on squared Euclidean distances."""
    query = long_waves(20, 0.0, np.arange(20) % 28)
    gallery = long_waves(120, 0.9, np.arange(120) // 4)
    images = evaluate(query, gallery, REGDB)
    people = evaluate(query, gallery, dataclasses.replace(REGDB, identity_once=True))
    for found, last in ((images, 0.60), (people, 0.65)):
        ranks = [found.mean(f"rank{k}") for k in (1, 5, 10, 20)]
        assert ranks == pytest.approx([0.0, 0.2, 0.55, last])
        assert found.mean("mAP") == pytest.approx(0.066914, abs=2e-6)
    by_cosine = evaluate(*(dataclasses.replace(side, lengths=None) for side in (query, gallery)), REGDB)
    assert by_cosine.mean("mAP") != pytest.approx(images.mean("mAP"), abs=1e-3)


def test_the_swapped_direction_swaps_the_excluded_cameras():
    both = dataclasses.replace(
        REGDB,
        excluded_cameras={3: (1, 2), 6: (2,)},
        directions=("infrared_to_visible", "visible_to_infrared"),
    )
    query, gallery = labelled(0, 5, (3, 6), 3), labelled(1, 5, (1, 2, 4), 3)
    back = evaluate(query, gallery, both, direction="visible_to_infrared")
    require_equal(back, [slow_trial(gallery, query, np.arange(30), {1: (3,), 2: (3, 6)}, False)])
    assert back.queries_without_match == 15  # camera 2 sees neither 3 nor 6


def test_queries_without_match_are_said(sides):
    query, gallery = sides
    gallery = gallery.take(np.flatnonzero((gallery.identities != 4) | (gallery.cameras > 2)))
    everywhere, _, indoor, _ = evaluate_settings(query, gallery, SYSU, trials=2)
    assert everywhere.queries_without_match == 0
    assert indoor.queries_without_match == 6
    assert indoor.as_dict()["queries_without_match"] == 6
    assert indoor.queries == 54


def test_official_draw(sides):
    query, gallery = sides
    rng = np.random.default_rng(0)
    frames = {
        camera: {i: np.array([rng.permutation(12) + 1 for _ in range(2)]) for i in range(9)}
        for camera in (1, 2, 4, 5)
    }
    result = evaluate(query, gallery, SYSU, "indoor", 10, draw="official", trials=2, permutations=frames)
    draws = gallery_draws(
        gallery.identities, gallery.cameras, SYSU, "indoor", 10, "official", 2, permutations=frames
    )
    require_equal(result, [slow_trial(query, gallery, draw, {3: (2,)}, True) for draw in draws])
    assert result.draw == "official"


def test_summary(sides):
    result = evaluate(*sides, SYSU)
    assert result.setting == Setting("all", 1, "infrared_to_visible")
    cell = json.loads(json.dumps(result.as_dict()))
    values = [scores.mAP for scores in result.scores]
    assert len(values) == 10
    assert cell["mAP"]["values"] == values
    assert cell["mAP"]["mean"] == pytest.approx(sum(values) / 10)
    assert cell["mAP"]["std"] == pytest.approx((sum((v - sum(values) / 10) ** 2 for v in values) / 10) ** 0.5)
    assert len(cell["cmc"]) == 20
    for rank in (1, 5, 10, 20):
        assert cell[f"rank{rank}"]["mean"] == pytest.approx(cell["cmc"][rank - 1])
        assert cell[f"rank{rank}"]["values"] == [scores.cmc[rank - 1] for scores in result.scores]
    del cell["cmc"], cell["mAP"], cell["mINP"], cell["rank1"], cell["rank5"], cell["rank10"], cell["rank20"]
    assert cell == {
        "search": "all",
        "shots": 1,
        "direction": "infrared_to_visible",
        "draw": "seeded",
        "rerank": False,
        "trials": 10,
        "queries": 54,
        "queries_without_match": 0,
        "gallery": 36,
    }


def test_a_short_curve_reports_the_ranks_it_has(sides):
    cell = evaluate(*sides, SYSU, trials=1, max_rank=5).as_dict()
    assert "rank5" in cell
    assert "rank10" not in cell
    assert cell["mAP"]["std"] == 0


def test_reranking_sees_one_gallery_at_a_time(sides):
    query, gallery = sides
    seen = []

    def rerank(left, right):
        seen.append(right.shape)
        return left @ right.T  # the worst first

    result = evaluate(query, gallery, SYSU, "all", 1, trials=2, rerank=rerank)
    assert seen == [(36, 16)] * 2
    assert result.rerank
    draw = gallery.take(gallery_draws(gallery.identities, gallery.cameras, SYSU, "all", 1)[1])
    labels = (query.identities, draw.identities, query.cameras, draw.cameras)
    expected = score(query.features @ draw.features.T, *labels, {3: (2,)}, True)
    assert result.scores[1].mAP == expected.mAP
    assert result.mean("mAP") < evaluate(query, gallery, SYSU, "all", 1, trials=2).mean("mAP")


def test_bad_input_is_named(sides):
    with pytest.raises(
        ValueError, match="direction is 'visible_to_infrared'; the protocol 'sysu' has infrared"
    ):
        evaluate(*sides, SYSU, direction="visible_to_infrared")
    with pytest.raises(ValueError, match="search is 'outdoor'"):
        evaluate(*sides, SYSU, search="outdoor")
    with pytest.raises(ValueError, match="gallery_draw is 'some'"):
        evaluate(*sides, Protocol("x", gallery_draw="some", shots=(1,), gallery_cameras={"all": (1,)}))
    strangers = dataclasses.replace(sides[0], identities=sides[0].identities + 100)
    with pytest.raises(ValueError, match="None of the 54 queries"):
        evaluate(strangers, sides[1], SYSU)
