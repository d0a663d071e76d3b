"""Retrieval metrics the obvious way: one query, one gallery image at a time."""

import numpy as np


def slow_scores(
    distances, query_identities, gallery_identities, query_cameras, gallery_cameras, excluded, once, max_rank
):
    """(cmc, mAP, mINP, valid queries), or None where no query has a match."""
    curves, precisions, penalties = [], [], []
    for q, identity in enumerate(query_identities):
        kept = [
            j
            for j in range(len(gallery_identities))
            if gallery_cameras[j] not in excluded.get(int(query_cameras[q]), ())
        ]
        ranked = [gallery_identities[j] for j in sorted(kept, key=lambda j: (distances[q][j], j))]
        if identity not in ranked:
            continue
        shown = list(dict.fromkeys(ranked)) if once else ranked
        first = shown.index(identity)
        curves.append([1.0 if rank >= first else 0.0 for rank in range(max_rank)])
        places = [place for place, other in enumerate(ranked, 1) if other == identity]
        precisions.append(np.mean([k / place for k, place in enumerate(places, 1)]))
        penalties.append(len(places) / places[-1])
    if not curves:
        return None
    return np.mean(curves, axis=0), np.mean(precisions), np.mean(penalties), len(curves)
