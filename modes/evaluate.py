"""--mode=eval: search people that were never trained on, by the data set's own protocol."""

import json
from dataclasses import replace
from pathlib import Path

from mmgl_tf.retrieval.protocols import evaluate_settings
from mmgl_tf.retrieval.published import published
from mmgl_tf.training.run_directory import atomic_file, claim_directory
from modes.console import ProgressLine
from modes.features import Extractor
from modes.looks import Look, TestImages, look_before
from modes.model import prepare
from modes.reading import open_stores, read_splits, require_labels
from modes.result_table import mean_over_runs, print_results
from modes.retrieval_pictures import RetrievalPictures
from modes.saved_run import load_embedder, run_settings

FEATURES = ("neck", "pool")


def evaluate_runs(configs):
    """Evaluate each run that --init names, and say the mean where there are several.

    Args:
        configs: list of `flags.config.Config`, one for each run.

    Returns:
        0, the exit status.
    """
    results = [evaluate(config) for config in configs]
    if len(results) > 1:
        mean_over_runs(results)
    return 0


def evaluate(config):
    """Evaluate one run: its last weights, and its best ones where identities were held out to choose them.

    Returns:
        The content of results.json.
    """
    prepare(config)
    root = claim_directory(config.run.workdir, "results.json")
    splits = read_splits(config)
    require_labels(splits)
    stores = open_stores(config.data, splits, ("query", "gallery"))
    protocol = _protocol(config, splits)
    permutations = None
    if config.evaluation.gallery_draw == "official":
        permutations = _official_permutations(config, splits)
    settings = run_settings(config.finetuning.init)
    results = {
        "dataset": splits.name,
        "root": splits.root,
        "trained_on": settings.get("dataset"),
        "checkpoint": str(config.finetuning.init),
        "mode": settings.get("mode"),
        "method": settings.get("method") if settings.get("mode") == "finetune" else None,
        "init": settings.get("init") if settings.get("mode") == "finetune" else None,
        "seed": settings.get("seed"),
        "trial": config.data.trial if splits.name == "regdb" else None,
        "protocol": _as_dict(protocol),
        "cells": [],
    }
    for which in ("last", "best"):
        loaded = load_embedder(config, which)
        if loaded is None:
            continue
        embedder, step, features = loaded
        results["steps" if which == "last" else "best_epoch"] = step
        found = embeddings(config, embedder, splits, stores, which)
        shown = (embedder, found, features[0])
        for feature in features:
            for result in evaluate_settings(
                found["query"][feature],
                found["gallery"][feature],
                protocol,
                draw=config.evaluation.gallery_draw,
                trials=config.evaluation.trials or None,
                permutations=permutations,
                rerank=_reranking(config),
            ):
                cell = result.as_dict()
                cell |= {"feature": feature, "weights": which, "flip": config.evaluation.flip}
                cell["paper"] = published(
                    splits.name,
                    results["method"],
                    None if results["init"] is None else "random" if results["init"] == "random" else "mmgl",
                    cell["search"],
                    cell["shots"],
                    cell["direction"],
                )
                results["cells"].append(cell)
    with atomic_file(root / "results.json", "w") as file:
        json.dump(results, file, indent=2)
    print_results(results, root)
    if config.evaluation.pictures:
        _draw(config, splits, stores, protocol, root, *shown)
    return results


def _draw(config, splits, stores, protocol, root, embedder, found, feature):
    """The pictures of --mode=visualize, of the best weights where there are such."""
    images = TestImages.of(splits, stores)
    sides = {images.query: found["query"][feature], images.gallery: found["gallery"][feature]}
    look = Look(Path(config.finetuning.init).name, embedder, feature, sides)
    pictures = RetrievalPictures(config, images, protocol, root)
    paths = pictures.write([look], [look_before(config, images)], {look.name: config.finetuning.init})
    print(f"pictures   {paths[0].parent}")
    print(f"projector  tensorboard --logdir {root / 'tensorboard'}", flush=True)


def embeddings(config, embedder, splits, stores, what):
    """{"query": {feature: LabelledFeatures}, "gallery": ...} of the test splits."""
    extract = Extractor(embedder, config.optimization.batch_size, config.evaluation.flip)
    found = {}
    for split in (splits.query, splits.gallery):
        (modality,) = {sample.modality for sample in split.samples}
        with ProgressLine(f"{split.name} embedded, {what} weights", "images") as progress:
            found[split.name] = extract(
                stores[split.name, modality], split.of_modality(modality), modality, progress
            )
    return found


def _protocol(config, splits):
    rule = config.evaluation.count_identities
    if rule == "protocol":
        return splits.query.protocol
    return replace(splits.query.protocol, identity_once=rule == "always")


def _official_permutations(config, splits):
    from pipelines.gallery_permutations import read_permutations

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


def _as_dict(protocol):
    return {
        "name": protocol.name,
        "gallery_draw": protocol.gallery_draw,
        "excluded_cameras": {
            str(camera): list(cameras) for camera, cameras in protocol.excluded_cameras.items()
        },
        "gallery_cameras": {name: list(cameras) for name, cameras in protocol.gallery_cameras.items()},
        "identity_once": protocol.identity_once,
    }
