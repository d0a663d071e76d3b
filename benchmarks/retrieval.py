"""How fast a whole SYSU-MM01 evaluation is, beside the per-query NumPy loop that the field uses.

    python -m benchmarks.retrieval [--rounds 3] [--trials 10] [--large 4000x100000]

Random embeddings in SYSU-MM01's numbers: 3,803 queries, 6,775 gallery candidates, 96 identities, 2,048
values; all four settings (all and indoor search, 1 and 10 shots), each over the seeded galleries. The peer
does for each setting and trial what published scripts do: one matrix product, an argsort of all of it, a
Python loop over queries with `np.unique` and boolean masks; once in float64 as they do, once in float32 as
they could. Everything runs pinned to one core in one thread, and processor time is counted. Both take turns
within a round; a ratio is the median over the rounds, with [least, greatest]. Both score one same matrix for
every setting and trial, and the benchmark stops where their numbers differ.
Expected: at least 10 times the peer from embeddings, where 40 % of our time is the one product of all of
them, and 7 times from given distances.
"""

import argparse
import os
import statistics
import time
import tracemalloc

SETTINGS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# Identities with images of each camera; 93 have camera-3 queries, and 39 of those no other indoor camera
# than the excluded second.
CAMERAS = {1: range(56), 2: range(56), 3: range(2, 95), 4: range(94), 5: range(95), 6: range(96)}
QUERIES, CANDIDATES, VALUES = 3803, 6775, 2048
# Float32 sums of another order swap near neighbours; of equal distances the peer's argsort takes any first.
TOLERANCE = {"float64": 1e-4, "float32": 1e-4, "matrix": 1e-6, "stable": 1e-12}


def _pin():
    """One core, one thread; before NumPy is imported, as it counts cores then."""
    os.environ.update(SETTINGS)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def drawn_features(identities, cameras, values, seed):
    """Random unit vectors with the given labels.

    Args:
        identities, cameras: int [n].
        values: D.
        seed: integer.

    Returns:
        `LabelledFeatures`.
    """
    import numpy as np

    from mmgl_tf.retrieval.labelled import LabelledFeatures

    features = np.random.default_rng(seed).standard_normal((len(identities), values), np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return LabelledFeatures(features, identities, cameras)


def sysu_like(values=VALUES, queries=QUERIES, candidates=CANDIDATES):
    """(query, gallery) with as many images, identities and cameras as SYSU-MM01's test split."""
    import numpy as np

    sides = []
    for seed, (cameras, number) in enumerate((((3, 6), queries), ((1, 2, 4, 5), candidates))):
        groups = sorted((identity, camera) for camera in cameras for identity in CAMERAS[camera])
        images = number // len(groups) + (np.arange(len(groups)) < number % len(groups))
        identities, cameras = np.repeat(np.array(groups), images, axis=0).T
        sides.append(drawn_features(identities, cameras, values, seed))
    return sides


def peer_scores(
    distances, query_identities, gallery_identities, query_cameras, gallery_cameras, kind="quicksort"
):
    """What the field computes: (Rank-1 ... Rank-20, mAP, mINP) of one gallery, one query at a time."""
    import numpy as np

    order = np.argsort(distances, axis=1, kind=kind)
    curve, precisions, penalties = np.zeros(20), [], []
    for query in range(len(distances)):
        ranking = order[query]
        if query_cameras[query] == 3:
            ranking = ranking[gallery_cameras[ranking] != 2]
        ranked = gallery_identities[ranking]
        hits = ranked == query_identities[query]
        if not hits.any():
            continue
        _, first = np.unique(ranked, return_index=True)
        distinct = ranked[np.sort(first)]
        curve[np.flatnonzero(distinct == query_identities[query])[0] :] += 1
        found = np.cumsum(hits)
        places = np.flatnonzero(hits)
        penalties.append(found[places[-1]] / (places[-1] + 1.0))
        precision = found / (1.0 + np.arange(len(found)))
        precisions.append((precision * hits).sum() / hits.sum())
    return np.array([*(curve / len(precisions)), np.mean(precisions), np.mean(penalties)])


def peer_evaluation(query, gallery, draws, dtype):
    """A function that scores every gallery of `draws` as the field does."""
    import numpy as np

    def run():
        rows = []
        for indices in draws:
            left, right = query.features.astype(dtype), gallery.features[indices].astype(dtype)
            distances = -np.matmul(left, right.T)
            labels = (query.identities, gallery.identities[indices], query.cameras, gallery.cameras[indices])
            rows.append(peer_scores(distances, *labels))
        return np.array(rows)

    return run


def our_evaluation(query, gallery, protocol, trials):
    """A function that scores every gallery with `evaluate_settings`."""
    import numpy as np

    from mmgl_tf.retrieval.protocols import evaluate_settings

    def run():
        results = evaluate_settings(query, gallery, protocol, trials=trials)
        return np.array(
            [[*scores.cmc, scores.mAP, scores.mINP] for result in results for scores in result.scores]
        )

    return run


def scorings(query, gallery, draws, protocol):
    """(ours, peer): functions that score one same matrix of distances with every gallery."""
    import numpy as np

    from mmgl_tf.retrieval.metrics import score

    distances = -(query.features @ gallery.features.T)

    def labels(indices):
        return (query.identities, gallery.identities[indices], query.cameras, gallery.cameras[indices])

    def ours():
        rules = (protocol.excluded_cameras, protocol.identity_once)
        found = [score(np.take(distances, indices, axis=1), *labels(indices), *rules) for indices in draws]
        return np.array([[*scores.cmc, scores.mAP, scores.mINP] for scores in found])

    def peer(kind="quicksort"):
        return np.array(
            [peer_scores(np.take(distances, indices, axis=1), *labels(indices), kind) for indices in draws]
        )

    return ours, peer


def _seconds(function):
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def _peak(function):
    """Bytes that NumPy and Python allocate beyond what is there, at the highest."""
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def require_same(ours, theirs, tolerance):
    """Raises where two evaluations of the same embeddings differ."""
    import numpy as np

    difference = float(np.abs(ours - theirs).max())
    if difference > tolerance:
        raise SystemExit(
            f"Ours and the peer's metrics differ by {difference}; at most {tolerance} is allowed."
        )
    return difference


def _compare(name, ours, peer, tolerance, rounds):
    """One row of the table."""
    times = []
    for _ in range(rounds):
        seconds, result = _seconds(ours)
        peer_seconds, peer_result = _seconds(peer)
        difference = require_same(result, peer_result, tolerance)
        times.append((seconds, peer_seconds))
    ratios = [theirs / mine for mine, theirs in times]
    print(
        f"{name:34s}{statistics.median(mine for mine, _ in times):9.2f}"
        f"{statistics.median(theirs for _, theirs in times):9.2f}"
        f"   {statistics.median(ratios):6.1f} [{min(ratios):.1f}, {max(ratios):.1f}]   {difference:.0e}",
        flush=True,
    )


def _large(size):
    import numpy as np

    from mmgl_tf.retrieval.metrics import score_features

    queries, images = (int(number) for number in size.split("x"))
    rng = np.random.default_rng(2)
    people = max(1, images // 50)
    query, gallery = (
        drawn_features(rng.integers(0, people, number), np.full(number, -1), 256, seed)
        for seed, number in enumerate((queries, images))
    )
    seconds, _ = _seconds(lambda: score_features(query, gallery))
    peak = _peak(lambda: score_features(query, gallery))
    print(
        f"\n{queries:,} queries x {images:,} gallery images, 256 values: {seconds:.1f} s, "
        f"{peak / 2**20:,.0f} MiB beside the embeddings"
    )


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--large", default="4000x100000", help="queries x gallery images; empty: leave out")
    arguments = parser.parse_args()
    _pin()
    from mmgl_tf.pipelines.readers.sysu import PROTOCOL
    from mmgl_tf.retrieval.protocols import gallery_draws, settings_of

    query, gallery = sysu_like()
    draws = [
        indices
        for setting in settings_of(PROTOCOL)
        for indices in gallery_draws(
            gallery.identities,
            gallery.cameras,
            PROTOCOL,
            setting.search,
            setting.shots,
            trials=arguments.trials,
        )
    ]
    print(
        f"{len(query):,} queries, {len(gallery):,} gallery candidates, {VALUES} values; "
        f"{len(draws)} galleries of {min(map(len, draws))} to {max(map(len, draws))} images; one core, "
        "seconds\n"
    )
    print(f"{'':34s}{'ours':>9s}{'peer':>9s}   ratio [least, greatest]   greatest difference")
    ours = our_evaluation(query, gallery, PROTOCOL, arguments.trials)
    for dtype in ("float64", "float32"):
        peer = peer_evaluation(query, gallery, draws, dtype)
        _compare(f"from embeddings, peer in {dtype}", ours, peer, TOLERANCE[dtype], arguments.rounds)
    ours_alone, peer_alone = scorings(query, gallery, draws, PROTOCOL)
    require_same(ours_alone(), peer_alone("stable"), TOLERANCE["stable"])
    _compare("from distances, float32 both", ours_alone, peer_alone, TOLERANCE["matrix"], arguments.rounds)
    largest = [max(draws, key=len)]
    print(
        f"\nPeak memory beside the embeddings: ours {_peak(ours) / 2**20:,.0f} MiB (all galleries);", end=""
    )
    peak = _peak(peer_evaluation(query, gallery, largest, "float64"))
    print(f" peer {peak / 2**20:,.0f} MiB (largest gallery, float64)")
    if arguments.large:
        _large(arguments.large)


if __name__ == "__main__":
    main()
