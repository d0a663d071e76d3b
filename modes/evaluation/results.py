"""The content of results.json: what was evaluated, by which protocol, how good, and the paper's number."""

from mmgl_tf.finetuning import FINETUNING
from mmgl_tf.flags.methods import title
from mmgl_tf.modes.evaluation.untrained_baselines import UNTRAINED_BASELINES
from mmgl_tf.modes.identity import departures
from mmgl_tf.modes.saved_run import is_finetuned, run_settings, run_summary
from mmgl_tf.retrieval.published import published


def about(config, splits, protocol):
    """results.json without its cells.

    Args:
        config: `mmgl_tf.flags.config.Config`.
        splits: `mmgl_tf.pipelines.records.DatasetSplits`.
        protocol: `mmgl_tf.pipelines.records.Protocol` as it is applied.
    """
    start = config.finetuning.init
    made = start in UNTRAINED_BASELINES
    settings, summary = ({}, {"status": "complete"}) if made else (run_settings(start), run_summary(start))
    finetuned = settings.get("mode") == "finetune"
    return {
        "dataset": splits.name,
        "root": splits.root,
        "trained_on": settings.get("dataset"),
        "checkpoint": str(start),
        "status": summary.get("status", "complete") if summary else "unfinished",
        "reason": summary.get("reason"),
        "mode": settings.get("mode"),
        "backbone": settings.get("backbone"),
        "method": settings["method"] if not made and is_finetuned(start) else None,
        "pretraining": settings.get("method") if settings.get("mode") == "pretrain" else None,
        "pretraining_title": _pretraining_title(settings),
        "departures": departures(settings),
        "init": settings["init"] if finetuned else None,
        "seed": settings.get("seed"),
        "trial": config.data.trial if splits.name == "regdb" else None,
        "protocol": {
            "name": protocol.name,
            "gallery_draw": protocol.gallery_draw,
            "gallery_cameras": {name: list(found) for name, found in protocol.gallery_cameras.items()},
            "excluded_cameras": {str(camera): list(f) for camera, f in protocol.excluded_cameras.items()},
            "identity_once": protocol.identity_once,
        },
        "cells": [],
    }


def cell(result, results, feature, weights, flip):
    """One cell: an evaluation in one setting, of one feature, with one file of weights.

    Args:
        result: `mmgl_tf.retrieval.protocols.Result`.
        results: what `about` gave.
        feature: one of the embedder's `FEATURES`, or "descriptor".
        weights: "last", "best" or "none".
        flip: whether mirror images were averaged.
    """
    found = result.as_dict() | {"feature": feature, "weights": weights, "flip": flip}
    return found | {"paper": _paper(found, results)}


def _paper(found, results):
    """The paper's number for the very same thing, or None: same data, network, start, feature and options."""
    start = _start(results)
    # The paper measures what each method is compared by: the first of its features.
    known = FINETUNING.get(results["method"])
    first = known.EMBEDDER.FEATURES[0] if known else None
    plain = found["feature"] == first and not found["flip"] and not found["rerank"]
    if (
        start is None
        or not plain
        or found["draw"] == "official"
        or results["backbone"] != "resnet50"
        or results["trained_on"] != results["dataset"]
        or results["departures"]
    ):
        return None
    return published(
        results["dataset"], results["method"], start, found["search"], found["shots"], found["direction"]
    )


def _pretraining_title(settings):
    """What the pre-training of a run is called, its own or that of its start; None where there was none.

    With settings that belong to the name: a supervised start says whose images it was trained on.
    """
    if settings.get("mode") == "finetune" and settings["init"] != "random":
        try:
            settings = run_settings(settings["init"])
        except ValueError:  # a weights file, or a run that is gone
            return None
    return title(settings["method"], settings) if settings.get("mode") == "pretrain" else None


def _start(results):
    """ "random", the method of a pre-training like the paper's (on SYSU-MM01, as published), or None."""
    if results["init"] in (None, "random"):
        return results["init"]
    try:
        settings = run_settings(results["init"])
    except ValueError:  # a weights file, or a run that is gone
        return None
    like_the_papers = (settings.get("mode"), settings.get("dataset")) == ("pretrain", "sysu")
    return settings["method"] if like_the_papers and not departures(settings) else None
