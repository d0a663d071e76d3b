"""The paper's Tables II to VIII as experiments show them beside their own: per cent, SYSU-MM01."""

from mmgl_tf.retrieval.published import published
from mmgl_tf.retrieval.published_tables import COLUMNS

# Table V: (Rank-1, Rank-10, mAP) of all-search, then of indoor-search.
TABLE_5 = {
    "random": (25.47, 66.06, 26.07, 26.38, 70.61, 35.95),
    "permutation": (50.99, 88.25, 49.77, 55.53, 91.29, 63.33),
    "permutation + part": (55.57, 90.67, 53.99, 60.32, 94.41, 67.81),
    "permutation + PCC": (55.05, 89.61, 53.05, 58.93, 93.23, 66.34),
    "all": (56.61, 90.23, 54.50, 62.55, 94.60, 69.62),
}
# Tables VI to VIII: {value: (Rank-1, mAP) of all-search}; None = "fail".
TABLE_6 = {2: (52.54, 50.77), 3: (55.09, 53.08), 6: (56.61, 54.50), 9: (55.70, 53.16), 18: None}
TABLE_7 = {
    0.03: (52.39, 51.21),
    0.05: (54.11, 53.47),
    0.07: (56.61, 54.50),
    0.1: (55.85, 53.97),
    0.2: (54.79, 53.91),
    0.3: (54.03, 53.00),
}
TABLE_8 = {
    0.1: (55.05, 53.15),
    0.2: (56.61, 54.50),
    0.3: (55.78, 53.80),
    0.4: (54.75, 53.00),
    0.5: (55.88, 53.56),
    1.0: (54.03, 53.11),
}
FAIL = {"rank1": "fail", "mAP": "fail"}
OWN = "own report"  # of the method's released code, where the paper's cell is another
OF_TABLE_4 = ("rank1", "rank10", "mAP")


def both_searches(names, numbers):
    """(all-search's numbers, then indoor-search's) -> {search: {metric: number}}."""
    half = len(numbers) // 2
    return {
        "all": dict(zip(names, numbers[:half], strict=True)),
        "indoor": dict(zip(names, numbers[half:], strict=True)),
    }


def table_2(method, start, shots=1):
    """Table II's numbers of a method and a start, where the table has them: {search: {metric: number}}."""
    return {
        search: numbers
        for search in ("all", "indoor")
        if (numbers := _numbers(published("sysu", method, start, search, shots)))
    }


def table_3(method, start, direction):
    """Table III's numbers of a method and a start, {metric: number}; {} where the table has none."""
    return _numbers(published("regdb", method, start, direction=direction))


def table_4(start):
    """Table IV's numbers of a method, where the table has it; those of random weights are Table II's."""
    numbers = _numbers(published("sysu", "agw", start, "all", shots=1))
    return {"all": {name: numbers[name] for name in OF_TABLE_4 if name in numbers}} if numbers else {}


def _numbers(found):
    """Per cent of what `published` found; {} where it found nothing."""
    if not found:
        return {}
    if found.get("failed"):
        return FAIL
    own = found.get("own_report", {})
    return {name: 100.0 * found[name] for name in COLUMNS if name in found} | (
        {OWN: {name: 100.0 * value for name, value in own.items()}} if own else {}
    )


def table_5(row):
    """Table V's numbers of a row, where the table has it."""
    numbers = TABLE_5.get(row)
    return both_searches(("rank1", "rank10", "mAP"), numbers) if numbers else {}
