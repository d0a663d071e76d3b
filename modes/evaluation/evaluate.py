"""--mode=eval: search people that were never trained on, by the data set's own protocol."""

import json
from dataclasses import replace
from pathlib import Path

import tensorflow as tf

from mmgl_tf.modes.console import ProgressLine
from mmgl_tf.modes.evaluation.evaluation_rules import evaluation_rules
from mmgl_tf.modes.evaluation.network_embeddings import (
    EvaluationImages,
    NetworkEmbeddings,
    embeddings_before_training,
)
from mmgl_tf.modes.evaluation.result_table import mean_over_runs, print_results
from mmgl_tf.modes.evaluation.results import about, cell, judged
from mmgl_tf.modes.evaluation.retrieval_pictures import RetrievalPictures
from mmgl_tf.modes.evaluation.untrained_baselines import UNTRAINED_BASELINES, describe
from mmgl_tf.modes.features import extractor
from mmgl_tf.modes.model import prepare
from mmgl_tf.modes.reading import open_stores, read_splits, require_labels
from mmgl_tf.modes.saved_run import load_embedder, run_settings
from mmgl_tf.retrieval.chance import chance_of
from mmgl_tf.retrieval.protocols import evaluate_settings
from mmgl_tf.run_directory import atomic_file, claim_directory


def evaluate_runs(configs):
    """Evaluate each run that --init names, and say the mean where there are several.

    Args:
        configs: list of `mmgl_tf.flags.config.Config`, one for each run.

    Returns:
        0, the exit status.
    """
    results = [evaluate(config) for config in configs]
    if len(results) > 1:
        first = Path(configs[0].run.workdir)  # its name says by which options
        mean_over_runs(results, first.with_name(f"{first.name}-mean_of_{len(results)}_runs.json"))
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
    protocol, rules = evaluation_rules(config, splits)
    results = about(config, splits, protocol)
    shown = None
    for which, place, embedder, found in _seen(config, splits, stores):
        if place is not None:
            results["best_epoch" if which == "best" else "steps"] = place
        for feature in found["query"]:
            sides = (found["query"][feature], found["gallery"][feature])
            made = evaluate_settings(*sides, protocol, **rules)
            if judged(config, results):
                results["at_chance"] = _at_chance(made[0], sides, protocol)
            for result in made:
                results["cells"].append(cell(result, results, feature, which, config.evaluation.flip))
        shown = (embedder, found, which)
    with atomic_file(root / "results.json", "w") as file:
        json.dump(results, file, indent=2)
    _write_scalars(results, root)
    print_results(results, root)
    _warn_of_training_images(config, splits, results["trained_on"])
    if config.evaluation.pictures and shown[0] is not None:
        _draw(config, splits, stores, (protocol, rules), root, *shown)
    return results


def _at_chance(result, sides, protocol):
    """A sentence where a search of test people found nobody, else None; see `mmgl_tf.retrieval.chance`.

    A run that held people out has been judged by them at its end; one with --train_ids=trainval has not.
    """
    found, chance = result.mean("mAP"), chance_of(*sides, protocol, result.setting)
    if found > chance.limit:
        return None
    return (
        f"mAP on test people is {found:.2%}, which is not above chance: {chance.mean:.2%} on average, "
        f"{chance.limit:.2%} at most"
    )


def _write_scalars(results, root):
    """The figures in TensorBoard, at the step of the weights."""
    with tf.summary.create_file_writer(str(root / "tensorboard")).as_default(step=results.get("steps") or 0):
        for found in results["cells"]:
            words = [found["weights"], found["feature"], found["direction"]]
            words += [f"{found['search']}_{found['shots']}_shot"] if found["shots"] else []
            for metric in ("rank1", "mAP", "mINP"):
                tf.summary.scalar("/".join(["retrieval", *words, metric]), found[metric]["mean"])


def _warn_of_training_images(config, splits, trained_on):
    """Say so where people are searched whom the run was trained on."""
    if trained_on != splits.name:
        return
    trained, advice = splits, f"Put test people below {splits.root}/test/"
    trial = run_settings(config.finetuning.init)["trial"]
    if splits.name == "regdb" and trial != config.data.trial:
        # Each trial trains on half of the people; the other trials test on some of these.
        trained = read_splits(replace(config, data=replace(config.data, trial=trial)))
        advice = f"The run was trained on trial {trial}; leave --trial={config.data.trial} out"
    seen = set(splits.query.samples) & set(trained.train.samples + trained.validation.samples)
    if seen:
        print(
            f"note       {len(seen)} of {len(splits.query)} queries are training or validation images too: "
            f"this says nothing about people never seen. {advice}"
        )


def _seen(config, splits, stores):
    """What is to be evaluated: (weights, steps or epoch, embedder or None, {split name: {feature: ...}})."""
    start, tests = config.finetuning.init, (splits.query, splits.gallery)
    modality = {split.name: split.samples[0].modality for split in tests}
    if start in UNTRAINED_BASELINES:
        found = {
            split.name: {
                "descriptor": describe(start, stores[split.name, modality[split.name]], split.samples)
            }
            for split in tests
        }
        yield "none", None, None, found
        return
    for which in ("last", "best"):
        loaded = load_embedder(config, which)
        if loaded is None:
            continue
        embedder, place = loaded
        extract = extractor(embedder, config)
        found = {}
        for split in tests:
            with ProgressLine(f"{split.name} embedded, {which} weights", "images") as progress:
                store = stores[split.name, modality[split.name]]
                every = extract(store, split.samples, modality[split.name], progress)
            found[split.name] = {feature: every[feature] for feature in embedder.FEATURES}
        yield which, place, embedder, found


def _draw(config, splits, stores, rules, root, embedder, found, which):
    """The pictures of --mode=visualize, of the best weights where there are such."""
    images = EvaluationImages.of(splits, stores)
    feature = next(iter(found["query"]))
    sides = {images.query: found["query"][feature], images.gallery: found["gallery"][feature]}
    network = NetworkEmbeddings(Path(config.finetuning.init).name, embedder, feature, which, sides)
    pictures = RetrievalPictures(config, images, *rules, root)
    paths = pictures.write(
        [network], [embeddings_before_training(config, images)], {network.name: config.finetuning.init}
    )
    print(f"pictures   {paths[0].parent}")
    print(f"projector  tensorboard --logdir {root / 'tensorboard'}", flush=True)
