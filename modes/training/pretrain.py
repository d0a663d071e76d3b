"""--mode=pretrain: self-supervised pre-training from image files to an encoder."""

import functools

import numpy as np

from mmgl_tf.flags.config import to_flat
from mmgl_tf.modes.model import build_model, selection
from mmgl_tf.modes.reading import agree_on_images, fingerprint, read_data
from mmgl_tf.modes.training.announce import announce
from mmgl_tf.modes.training.attempt import attempt
from mmgl_tf.modes.training.begin import begin, shards_of
from mmgl_tf.modes.training.panels import Panels
from mmgl_tf.modes.training.summary import summarise
from mmgl_tf.pipelines.batches.build import held_out_dataset, training_dataset
from mmgl_tf.pipelines.batches.data_wait import DataWait
from mmgl_tf.pipelines.batches.plans import image_plan
from mmgl_tf.pipelines.batches.recipe import mmgl_held_out, mmgl_recipe
from mmgl_tf.pipelines.batches.shards import WHOLE
from mmgl_tf.pipelines.records import INFRARED, VISIBLE
from mmgl_tf.pretraining.probe import Probe
from mmgl_tf.training.fit import Training


def pretrain(config):
    """Run, or go on with, the pre-training of --workdir.

    Returns:
        Exit status: 0 when the run is complete, 128 + signal where it was asked to stop, 3 where it diverged.
    """
    return begin(config, _pretrain)


def _pretrain(config, run, distribution):
    splits, stores = distribution.chief_first(lambda: read_data(config))
    agree_on_images(distribution, stores)
    images = stores["train", VISIBLE], stores["train", INFRARED]
    recipe = mmgl_recipe(config.augmentation, config.mmgl.num_stripes)
    optimization = config.optimization
    plan = image_plan(
        images,
        optimization.batch_size,
        config.run.seed,
        optimization.epoch_by,
        optimization.steps_per_epoch,
        recipe.modalities,
    )
    length = plan.steps_per_epoch
    with distribution.scope():
        model = build_model(config, length)
    training = Training(model, run, config, length, 2 * plan.batch_size, fingerprint(splits), distribution)
    if distribution.chief:
        announce(config, splits, stores, model, training, distribution)

    wait = DataWait()

    def batches(first_step, steps, shards=None):
        return training_dataset(
            images,
            recipe,
            plan,
            first_step,
            first_step + steps,
            config.augmentation.data_threads,
            wait,
            shards or shards_of(distribution),
        )

    validation, probe = _held_out(config, splits, stores, model, shards_of(distribution))
    panels = Panels(config, probe, first_batch=lambda: next(iter(batches(0, 1, WHOLE))))

    status, result = attempt(
        lambda: training.fit(
            batches,
            validation,
            wait,
            selection(config) if validation is not None else None,
            to_flat(config),
            probe=probe,
            watch=panels.attach,
        ),
        run,
        distribution,
    )
    if status or not distribution.chief:
        return status
    rows, saving = result
    if not rows:
        raise ValueError(
            f"the run is complete, but {run.metrics_path} is missing, so there is nothing to show"
        )
    panels.write(rows, run.pictures)
    summarise(config, run, rows, saving, len(splits.validation.identities()) > 0)
    return 0


def _held_out(config, splits, stores, model, shards):
    """What makes validation data, or None; and a probe: on held-out images, else on training images."""
    name = "validation" if len(splits.validation) else "train"
    images = stores[name, VISIBLE], stores[name, INFRARED]
    probe = _probe(config, getattr(splits, name), images, model)
    if name == "train":
        return None, probe
    validation = functools.partial(
        held_out_dataset,
        images,
        mmgl_held_out(config.mmgl.num_stripes, config.validation.validation_permutations),
        config.optimization.batch_size,
        config.run.seed,
        config.validation.validation_images,
        config.augmentation.data_threads,
        shards,
    )
    return validation, probe


def _probe(config, split, stores, model):
    """A probe on unaugmented images spread evenly over a split, each under one fixed stripe order."""
    images = config.validation.probe_images
    held_out = mmgl_held_out(config.mmgl.num_stripes, repeats=1)
    (batch,) = held_out_dataset(stores, held_out, images, config.run.seed, max_images=images)
    batch = {name: value.numpy() for name, value in batch.items()}
    real = batch["weight"] > 0
    halves = {VISIBLE: slice(None, images), INFRARED: slice(images, None)}
    identities = []
    for modality, half in halves.items():
        samples = split.of_modality(modality)
        identities.append([samples[index].identity for index in batch["index"][half][real[half]]])
    known = all(identity is not None for half in identities for identity in half)
    return Probe(
        model,
        {
            "visible": batch["visible"][real[halves[VISIBLE]]],
            "infrared": batch["infrared"][real[halves[INFRARED]]],
            "permutation": batch["permutation"][real],
        },
        tuple(np.array(half, np.int64) for half in identities) if known else None,
        config.mmgl.snn_tau or config.mmgl.nce_tau,
        f"{'held-out' if split.name == 'validation' else 'training'} images",
    )
