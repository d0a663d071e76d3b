"""What the paper reports of a setting, to stand beside our own figures."""

from mmgl_tf.retrieval.published_tables import COLUMNS, FAIL, NO_CELL, OWN_REPORTS, TABLE_2, TABLE_3, TABLE_4

CELLS = (("all", 1), ("all", 10), ("indoor", 1), ("indoor", 10))
DIRECTIONS = ("visible_to_infrared", "infrared_to_visible")


def published(dataset, method, init, search="", shots=0, direction="infrared_to_visible"):
    """What the paper reports for a setting.

    Args:
        dataset: "sysu" or "regdb"; others have no published numbers.
        method: name of a fine-tuning method.
        init: "random", "imagenet" or the name of a pre-training method.
        search, shots, direction: as in `mmgl_tf.retrieval.gallery_draws.Setting`.

    Returns:
        dict of "table" ("II", "III" or "IV") and those of "rank1", "rank10", "rank20", "mAP" that it has, as
        fractions 0 .. 1; of "table" and "failed": True where the paper says that training failed; None
        where it has no such number. "own_report" has those numbers that the method's released code reports of
        itself, where they are others.
    """
    if dataset == "sysu" and direction == "infrared_to_visible" and (search, shots) in CELLS:
        table, row = "II", TABLE_2.get((method, init), {})
        place = CELLS.index((search, shots))
    elif dataset == "regdb" and direction in DIRECTIONS:
        table, row = "III", TABLE_3.get((method, init), {})
        place = DIRECTIONS.index(direction)
    else:
        return None
    if not row and (dataset, method, search, shots) == ("sysu", "agw", "all", 1) and init in TABLE_4:
        return _cell("IV", TABLE_4[init], ("rank1", "rank10", "mAP"))
    if not row or row[place] is NO_CELL:
        return None
    found = _cell(table, row[place], COLUMNS)
    own = OWN_REPORTS.get((dataset, method, init))
    first = (search, shots) == ("all", 1) if dataset == "sysu" else direction == "visible_to_infrared"
    return found | ({"own_report": _fractions(own)} if own and first else {})


def _cell(table, numbers, columns):
    if numbers == FAIL:
        return {"table": table, "failed": True}
    return {"table": table, **_fractions(dict(zip(columns, numbers, strict=True)))}


def _fractions(numbers):
    """Of those that are printed."""
    return {name: round(value / 100, 6) for name, value in numbers.items() if value is not None}
