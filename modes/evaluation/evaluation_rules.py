"""By which rules people are searched: the data set's protocol, and what the flags change in it."""

from dataclasses import replace

from mmgl_tf.modes.evaluation.untrained_baselines import UNTRAINED_BASELINES


def evaluation_rules(config, splits):
    """What tables and pictures of an evaluation have in common.

    Args:
        config: `mmgl_tf.flags.config.Config`.
        splits: `mmgl_tf.pipelines.records.DatasetSplits`.

    Returns:
        (`Protocol`, keyword arguments of `mmgl_tf.retrieval.protocols.evaluate_settings`: draw, trials,
        permutations and rerank).

    Raises:
        ValueError: published gallery permutations are asked for where there are none.
    """
    if config.finetuning.init in UNTRAINED_BASELINES and config.evaluation.flip:
        raise ValueError(
            f"--flip with --init={config.finetuning.init}: only a network's embeddings are averaged over "
            "mirror images; leave it out"
        )
    _judge_distance(config)
    rules = {
        "draw": config.evaluation.gallery_draw,
        "trials": config.evaluation.trials or None,
        "permutations": _permutations(config, splits),
        "rerank": _reranking(config),
    }
    return _protocol(config, splits), rules


def _judge_distance(config):
    """Refuses --distance=euclidean beside what works on embeddings of unit length."""
    if config.evaluation.distance == "cosine":
        return
    chosen = [name for name in ("flip", "rerank") if getattr(config.evaluation, name)]
    beside, ways = [f"--{name}" for name in chosen], [f"--no{name}" for name in chosen]
    if config.finetuning.init in UNTRAINED_BASELINES:
        beside, ways = [*beside, f"--init={config.finetuning.init}"], []
    if beside:
        # Either may be what the method's authors have, which nobody typed.
        raise ValueError(
            f"--distance=euclidean with {' '.join(beside)}, which compares embeddings of unit length; give "
            + " or ".join(["--distance=cosine", *([" ".join(ways)] if ways else [])])
        )


def _protocol(config, splits):
    rule = config.evaluation.count_identities
    if rule == "protocol":
        return splits.query.protocol
    return replace(splits.query.protocol, identity_once=rule == "always")


def _permutations(config, splits):
    """The published gallery permutations, where --gallery_draw asks for them."""
    if config.evaluation.gallery_draw != "official":
        return None
    from mmgl_tf.pipelines.readers.gallery_permutations import read_permutations

    if splits.query.protocol.gallery_draw == "all":
        raise ValueError(
            f"--gallery_draw=official is for SYSU-MM01's layout; {splits.name} searches its whole gallery. "
            "Leave the flag out."
        )
    return read_permutations(splits.root)


def _reranking(config):
    if not config.evaluation.rerank:
        return None
    from mmgl_tf.retrieval.reranking import reranked_distances

    return reranked_distances
