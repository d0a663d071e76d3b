"""The paper's numbers for what this project trains, as printed (MMGL, Tables II, III and IV).

Table II is SYSU-MM01; Table III is RegDB, where MMGL's rows are pre-trained on SYSU-MM01 and fine-tuned on
RegDB. The paper has no two-stream row besides AGW's. It prints neither Rank-5 nor mINP, and does not say
which gallery draw it used; MMGL's released test draws as "seeded" does. Everything in per cent.
"""

COLUMNS = ("rank1", "rank10", "rank20", "mAP")
FAIL = None  # "fail": the training diverged

# (method, init) -> rows of COLUMNS for all search 1 and 10 shots, indoor search 1 and 10 shots.
TABLE_2 = {
    ("one_stream", "random"): (
        (26.29, 67.86, 81.26, 27.28),
        (30.83, 73.07, 85.53, 20.81),
        (26.05, 72.15, 87.99, 36.24),
        (31.39, 78.86, 91.82, 25.96),
    ),
    ("one_stream", "imagenet"): (
        (43.66, 83.92, 92.23, 43.70),
        (50.16, 87.10, 94.50, 37.20),
        (48.93, 89.28, 96.40, 57.86),
        (56.80, 92.47, 97.11, 49.11),
    ),
    ("one_stream", "mmgl"): (
        (52.65, 89.31, 95.00, 51.48),
        (59.99, 92.76, 96.98, 45.03),
        (55.05, 93.43, 97.02, 63.75),
        (64.85, 95.53, 98.02, 54.72),
    ),
    ("agw", "random"): (
        (25.47, 66.06, 80.11, 26.07),
        (32.67, 75.81, 87.13, 22.98),
        (26.38, 70.61, 86.08, 35.95),
        (33.37, 80.01, 92.15, 27.83),
    ),
    ("agw", "imagenet"): (
        (48.58, 87.58, 94.83, 49.37),
        (54.73, 92.46, 96.72, 42.90),
        # 42.90 as printed: it repeats the cell above and lies 20 below every similar one, so likely a slip.
        (54.67, 89.56, 95.91, 42.90),
        (62.13, 93.42, 97.06, 54.56),
    ),
    ("agw", "mmgl"): (
        (56.61, 90.23, 95.91, 54.50),
        (61.41, 93.30, 97.40, 48.27),
        (62.55, 94.60, 98.02, 69.62),
        (70.13, 95.55, 98.08, 61.47),
    ),
}
# Table IV, pre-training methods compared by AGW in all search, 1 shot: (rank1, rank10, mAP).
TABLE_4 = {
    "colorization": (30.57, 69.02, 29.49),
    "jigsaw": (40.74, 82.07, 37.71),
    "psl": (50.86, 86.12, 49.35),
    "simclr": (46.17, 84.93, 43.38),
    "swav": (48.25, 85.62, 45.07),
    "byol": (52.37, 87.34, 50.03),
    "simsiam": FAIL,
    "barlow_twins": (51.78, 86.45, 50.23),
    "mmgl": (56.61, 90.23, 54.50),
}
CELLS = (("all", 1), ("all", 10), ("indoor", 1), ("indoor", 10))

# (method, init) -> rows of COLUMNS for visible to infrared, infrared to visible.
TABLE_3 = {
    ("one_stream", "random"): ((17.04, 33.74, 44.76, 19.81), (16.70, 33.20, 44.37, 19.79)),
    ("one_stream", "imagenet"): ((63.17, 84.02, 91.89, 61.32), (61.39, 83.27, 90.99, 60.12)),
    ("one_stream", "mmgl"): ((67.83, 86.72, 93.00, 65.32), (65.77, 86.11, 93.53, 65.56)),
    ("agw", "random"): (FAIL, FAIL),
    ("agw", "imagenet"): ((70.73, 86.46, 91.41, 65.04), (69.85, 86.31, 89.62, 63.66)),
    ("agw", "mmgl"): ((75.43, 89.91, 94.02, 70.12), (74.25, 88.60, 91.05, 70.00)),
}
DIRECTIONS = ("visible_to_infrared", "infrared_to_visible")


def published(dataset, method, init, search="", shots=0, direction="infrared_to_visible"):
    """What the paper reports for a setting.

    Args:
        dataset: "sysu" or "regdb"; others have no published numbers.
        method: "one_stream", "two_stream" or "agw".
        init: "random", "imagenet" or the name of a pre-training method.
        search, shots, direction: as in `mmgl_tf.retrieval.gallery_draws.Setting`.

    Returns:
        dict of "table" ("II", "III" or "IV") and those of "rank1", "rank10", "rank20", "mAP" that it has, as
        fractions 0 .. 1; of "table" and "failed": True where the paper says that training failed; None
        where it has no such number.
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
    if not row:
        return None
    return _cell(table, row[place], COLUMNS)


def _cell(table, numbers, columns):
    if numbers is FAIL:
        return {"table": table, "failed": True}
    return {"table": table, **{n: round(v / 100, 6) for n, v in zip(columns, numbers, strict=True)}}
