import itertools

import pytest

from mmgl_tf.retrieval.published import TABLE_2, TABLE_3, published


def test_numbers_of_the_paper():
    assert published("sysu", "agw", "mmgl", "all", 1) == {
        "table": "II",
        "rank1": 0.5661,
        "rank10": 0.9023,
        "rank20": 0.9591,
        "mAP": 0.5450,
    }
    assert published("sysu", "one_stream", "random", "indoor", 10)["mAP"] == 0.2596
    assert published("sysu", "one_stream", "imagenet", "all", 10)["rank1"] == 0.5016
    assert published("sysu", "one_stream", "mmgl", "indoor", 1)["rank20"] == 0.9702
    regdb = published("regdb", "agw", "mmgl", direction="visible_to_infrared")
    assert (regdb["table"], regdb["rank1"]) == ("III", 0.7543)
    assert published("regdb", "one_stream", "random", direction="infrared_to_visible")["mAP"] == 0.1979


def test_failed_trainings_and_absent_rows():
    assert published("regdb", "agw", "random") == {"table": "III", "failed": True}
    assert published("sysu", "two_stream", "mmgl", "all", 1) is None
    assert published("synthetic", "agw", "mmgl", "all", 1) is None
    assert published("sysu", "agw", "mmgl", "all", 5) is None
    assert published("sysu", "agw", "mmgl", "all", 1, "visible_to_infrared") is None


@pytest.mark.parametrize("table", [TABLE_2, TABLE_3])
def test_ranks_grow(table):
    for cells in filter(None, itertools.chain.from_iterable(table.values())):
        assert cells[0] < cells[1] < cells[2] <= 100
