"""Evaluation by a data set's protocol: its galleries, directions and rules, and the mean over its trials."""

from dataclasses import dataclass

import numpy as np

from mmgl_tf.retrieval.gallery_draws import Setting, gallery_draws, settings_of
from mmgl_tf.retrieval.labelled import LabelledFeatures
from mmgl_tf.retrieval.metrics import BLOCK_BYTES, Scores, Tally, require_comparable, score
from mmgl_tf.retrieval.ranking import (
    compared_parts,
    distance_block,
    index_by_identity,
    query_blocks,
    rank_matches,
)

__all__ = ["RANKS", "Result", "Setting", "evaluate", "evaluate_settings", "gallery_draws", "settings_of"]

RANKS = (1, 5, 10, 20)


@dataclass(frozen=True, eq=False)
class Result:
    """Metrics of one setting over its trials.

    Attributes:
        setting: search, shots and direction.
        draw: "seeded", "official" or "all".
        rerank: whether distances were re-ranked.
        queries: all queries.
        gallery: gallery images of a trial.
        scores: `Scores` of each trial.
    """

    setting: Setting
    draw: str
    rerank: bool
    queries: int
    gallery: int
    scores: tuple[Scores, ...]

    @property
    def trials(self) -> int:
        """Gallery draws that were averaged."""
        return len(self.scores)

    @property
    def queries_without_match(self) -> int:
        """Queries that count in no mean, as the gallery has no image of theirs; the most of any trial."""
        return max(scores.without_match for scores in self.scores)

    def values(self, name: str) -> np.ndarray:
        """One metric of every trial.

        Args:
            name: "rank1", "rank5", ..., "mAP" or "mINP".

        Returns:
            float64 [trials], 0 .. 1.
        """
        if name.startswith("rank"):
            return np.array([scores.rank(int(name[4:])) for scores in self.scores])
        return np.array([getattr(scores, name) for scores in self.scores])

    def mean(self, name: str) -> float:
        """Mean of one metric over the trials, the number that papers print."""
        return float(self.values(name).mean())

    def std(self, name: str) -> float:
        """Standard deviation of one metric over the trials.

        Choice: divided by the number of trials, not by one less. The ten draws are all that the protocol
        has, not a sample to infer from; it says nothing about other training runs.
        """
        return float(self.values(name).std())

    def cmc(self) -> np.ndarray:
        """Mean match curve, float64 [max_rank]."""
        return np.mean([scores.cmc for scores in self.scores], axis=0)

    def as_dict(self) -> dict:
        """The result as plain numbers, a cell of a run's results.json."""
        names = [f"rank{k}" for k in RANKS if k <= len(self.scores[0].cmc)] + ["mAP", "mINP"]
        return {
            **self.setting._asdict(),
            "draw": self.draw,
            "rerank": self.rerank,
            "trials": self.trials,
            "queries": self.queries,
            "queries_without_match": self.queries_without_match,
            "gallery": self.gallery,
            **{
                name: {
                    "mean": self.mean(name),
                    "std": self.std(name),
                    "values": self.values(name).tolist(),
                }
                for name in names
            },
            "cmc": self.cmc().tolist(),
        }


def evaluate(
    query: LabelledFeatures,
    gallery: LabelledFeatures,
    protocol,
    search=None,
    shots=None,
    direction=None,
    draw="seeded",
    trials=None,
    permutations=None,
    max_rank=20,
    rerank=None,
) -> Result:
    """Scores one setting; see `evaluate_settings`, which shares work between several.

    Args:
        query: embeddings of the query split, in its order.
        gallery: embeddings of the whole gallery split, in its order.
        protocol: a `mmgl_tf.pipelines.records.Protocol`.
        search, shots, direction: the setting; None = the protocol's first.
        draw, trials, permutations: as `gallery_draws`.
        max_rank: length of the match curve.
        rerank: as in `evaluate_settings`.

    Returns:
        A `Result`.
    """
    first = settings_of(protocol)[0]
    setting = Setting(
        first.search if search is None else search,
        first.shots if shots is None else shots,
        first.direction if direction is None else direction,
    )
    results = evaluate_settings(
        query, gallery, protocol, [setting], draw, trials, permutations, max_rank, rerank
    )
    return results[0]


def evaluate_settings(
    query: LabelledFeatures,
    gallery: LabelledFeatures,
    protocol,
    settings=None,
    draw="seeded",
    trials=None,
    permutations=None,
    max_rank=20,
    rerank=None,
    block_bytes=BLOCK_BYTES,
) -> list[Result]:
    """Scores several settings of a protocol over all of their trials.

    The galleries of all trials and settings are drawn from the same images, so each similarity is computed
    once; a trial picks its columns. Queries come in blocks: memory is bounded as in `score_features` but for
    a copy of the gallery images that any trial draws (none where they are the whole gallery).

    Args:
        query: embeddings of the query split, in its order.
        gallery: embeddings of the whole gallery split, in its order.
        protocol: a `mmgl_tf.pipelines.records.Protocol`.
        settings: list of `Setting`; None = all of the protocol's. A direction that is not the protocol's
            first swaps query and gallery.
        draw, trials, permutations: as `gallery_draws`.
        max_rank: length of the match curve.
        rerank: None, or a function (query features [Q, D], gallery features [N, D]) -> distances [Q, N], such
            as `mmgl_tf.retrieval.reranking.reranked_distances`; called once per setting and trial.
        block_bytes: bytes for a block of queries and all that is computed from it.

    Returns:
        A `Result` for each setting, in order.

    Raises:
        ValueError: a direction or search that the protocol does not have, or as `gallery_draws` and `score`.
    """
    require_comparable(query, gallery)
    settings = settings_of(protocol) if settings is None else [Setting(*setting) for setting in settings]
    found = {}
    for direction in dict.fromkeys(setting.direction for setting in settings):
        searching, searched, excluded = _sides(query, gallery, protocol, direction)
        galleries = {
            setting: gallery_draws(
                searched.identities,
                searched.cameras,
                protocol,
                setting.search,
                setting.shots,
                draw,
                trials,
                permutations,
            )
            for setting in settings
            if setting.direction == direction
        }
        rules = (excluded, protocol.identity_once, max_rank)
        if rerank is None:
            scores = _score_together(searching, searched, galleries, *rules, block_bytes)
        else:
            scores = _score_reranked(searching, searched, galleries, *rules, rerank)
        for setting, draws in galleries.items():
            found[setting] = Result(
                setting,
                "all" if protocol.gallery_draw == "all" else draw,
                rerank is not None,
                len(searching),
                len(draws[0]),
                tuple(scores[setting]),
            )
    return [found[setting] for setting in settings]


def _sides(query, gallery, protocol, direction):
    """(searching, searched, excluded cameras) of a direction."""
    if direction not in protocol.directions:
        raise ValueError(
            f"direction is {direction!r}; the protocol {protocol.name!r} has "
            f"{', '.join(protocol.directions)}."
        )
    if direction == protocol.directions[0]:
        return query, gallery, protocol.excluded_cameras
    swapped: dict[int, tuple[int, ...]] = {}
    for camera, unseen in protocol.excluded_cameras.items():
        for other in unseen:
            swapped[other] = (*swapped.get(other, ()), camera)
    return gallery, query, swapped


def _score_together(query, gallery, galleries, excluded, identity_once, max_rank, block_bytes):
    """Setting -> scores of its trials, from one pass over the similarities."""
    drawn = np.unique(np.concatenate([indices for draws in galleries.values() for indices in draws]))
    candidates = gallery if len(drawn) == len(gallery) else gallery.take(drawn)
    column = np.full(len(gallery), -1, np.int64)
    column[drawn] = np.arange(len(drawn))
    trials = [(setting, indices) for setting, draws in galleries.items() for indices in draws]
    tallies = [Tally(max_rank) for _ in trials]
    # What a query may see depends on its camera alone; `parts` of every trial name the same queries.
    for part, (queries, _) in enumerate(
        compared_parts(query.cameras, gallery.cameras, excluded, len(gallery))
    ):
        indexes = []
        for _, indices in trials:
            cameras = gallery.cameras[indices]
            kept = compared_parts(query.cameras, cameras, excluded, len(indices))[part][1]
            indexes.append(index_by_identity(gallery.identities[indices], kept, column[indices]))
        rows = np.arange(len(query))[queries]
        for block in query_blocks(len(rows), len(candidates), block_bytes):
            distances = distance_block(query, rows[block], candidates)
            identities = query.identities[rows[block]]
            for index, tally in zip(indexes, tallies, strict=True):
                tally.add(rank_matches(distances, identities, index, identity_once))
    scores = {setting: [] for setting in galleries}
    for (setting, indices), tally in zip(trials, tallies, strict=True):
        scores[setting].append(tally.scores(len(indices)))
    return scores


def _score_reranked(query, gallery, galleries, excluded, identity_once, max_rank, rerank):
    """Setting -> scores of its trials; each gallery re-ranks by itself, so nothing can be shared."""
    scores = {setting: [] for setting in galleries}
    for setting, draws in galleries.items():
        for indices in draws:
            chosen = gallery.take(indices)
            distances = rerank(query.features, chosen.features)
            scores[setting].append(
                score(
                    distances,
                    query.identities,
                    chosen.identities,
                    query.cameras,
                    chosen.cameras,
                    excluded,
                    identity_once,
                    max_rank,
                )
            )
    return scores
