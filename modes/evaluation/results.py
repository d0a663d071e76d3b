"""The content of results.json: what was evaluated, by which protocol, how good, and the paper's number."""

from mmgl_tf.finetuning import FINETUNING
from mmgl_tf.flags.config import defaults, to_flat
from mmgl_tf.flags.config import settings as every_setting
from mmgl_tf.flags.methods import evaluated
from mmgl_tf.flags.presets import long_enough
from mmgl_tf.flags.resolution import layout_of
from mmgl_tf.modes.evaluation.untrained_baselines import UNTRAINED_BASELINES
from mmgl_tf.modes.identity import departures
from mmgl_tf.modes.saved_run import is_finetuned, run_settings, run_status, run_summary
from mmgl_tf.modes.start import start_in_words, start_of
from mmgl_tf.retrieval.published import published

# Settings of an evaluation that change no figure.
_SHOWING = ("run_names", "pictures", "shown_queries", "shown_identities")


def about(config, splits, protocol):
    """results.json without its cells.

    Args:
        config: `mmgl_tf.flags.config.Config`.
        splits: `mmgl_tf.pipelines.records.DatasetSplits`.
        protocol: `mmgl_tf.pipelines.records.Protocol` as it is applied.
    """
    run = config.finetuning.init
    made = run in UNTRAINED_BASELINES
    settings = {} if made else run_settings(run)
    finetuned = settings.get("mode") == "finetune"
    start = start_of(run, settings) if finetuned else None
    before = start["settings"] if start else {}
    pretrained = next((s for s in (settings, before) if s.get("mode") == "pretrain"), {})
    return {
        "dataset": splits.name,
        "root": splits.root,
        "trained_on": settings.get("dataset"),
        "checkpoint": str(run),
        "status": "complete" if made else run_status(run),
        "reason": None if made else run_summary(run).get("reason"),
        "at_chance": None if made else run_summary(run).get("at_chance"),
        "mode": settings.get("mode"),
        "backbone": settings.get("backbone"),
        "stream": settings.get("stream"),
        "method": settings["method"] if not made and is_finetuned(run) else None,
        "described": start_in_words(settings),
        "departures": departures(settings),
        "init": settings["init"] if finetuned else None,
        "start": {
            "described": start_in_words(before),
            "dataset": before.get("dataset"),
            "status": start["status"],
            "departures": departures(before),
            "stream": before.get("stream"),
        }
        if start
        else None,
        "pretraining": pretrained.get("method"),
        "evaluation": _changed_rules(config),
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


def judged(config, results):
    """Whether its first cell says if a run counts as "fail": one that was fine-tuned for long enough.

    Args:
        config: `mmgl_tf.flags.config.Config` of the evaluation.
        results: what `about` gave, and its cells so far.
    """
    finetuned = results["method"] is not None and long_enough(config.run.preset)
    return finetuned and not results["cells"] and not results["at_chance"]


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


def _changed_rules(config):
    """{setting: value} of the evaluation's settings that are not as the method's authors have them."""
    flat = to_flat(config)
    usual = defaults() | evaluated(config.run.method, layout_of(flat))
    own = [entry.name for group, entry in every_setting() if group == "evaluation"]
    return {name: flat[name] for name in own if name not in _SHOWING and flat[name] != usual[name]}


def _paper(found, results):
    """The paper's number for the very same thing, or None: same data, start, feature and every setting."""
    start = _start(results)
    # The paper measures what each method is compared by: the first of its features.
    known = FINETUNING.get(results["method"])
    first = known.EMBEDDER.FEATURES[0] if known else None
    flipped = (defaults() | evaluated(results["method"], results["dataset"]))["flip"]
    plain = found["feature"] == first and found["flip"] == flipped and not found["rerank"]
    if (
        start is None
        or not plain
        or found["draw"] == "official"
        or results["trained_on"] != results["dataset"]
        or results["status"] != "complete"
        or results["departures"]
        or results["evaluation"]
    ):
        return None
    return published(
        results["dataset"], results["method"], start, found["search"], found["shots"], found["direction"]
    )


def _start(results):
    """ "random", the method of a pre-training like the paper's (on SYSU-MM01, as published), or None.

    It has the stems of the network behind it, as the paper's starts have: of two streams for AGW.
    """
    start = results["start"]
    if results["init"] in (None, "random"):
        return results["init"]
    if start is None or (start["dataset"], start["status"]) != ("sysu", "complete"):
        return None
    changed = {n: v for n, v in start["departures"].items() if (n, v) != ("stream", results["stream"])}
    return results["pretraining"] if not changed and start["stream"] == results["stream"] else None
