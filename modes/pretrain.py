"""--mode=pretrain: self-supervised pre-training from image files to an encoder."""

import keras
import numpy as np
import tensorflow as tf

from flags.config import to_flat
from mmgl_tf.backbones import Encoder
from mmgl_tf.pretraining import PRETRAINING
from mmgl_tf.pretraining.probe import Probe
from mmgl_tf.training.fit import Training
from mmgl_tf.training.guards import Interrupted
from mmgl_tf.training.optimizers import TorchSGD
from mmgl_tf.training.run_directory import RunDirectory
from mmgl_tf.training.schedules import AuthorsCosine, OffsetCosine
from modes.announce import announce
from modes.panels import Panels
from modes.reading import fingerprint, open_stores, read_splits
from modes.summary import summarise
from pipelines.build import evaluation_dataset, training_dataset
from pipelines.data_wait import DataWait
from pipelines.records import INFRARED, VISIBLE
from pipelines.sampling import steps_in_epoch

SCHEDULES = {"authors": AuthorsCosine, "offset": OffsetCosine}


def pretrain(config):
    """Run, or go on with, the pre-training of --workdir.

    Returns:
        Exit status: 0 when the run is complete, 128 + signal where it was asked to stop.
    """
    run = RunDirectory(config.run.workdir)
    run.claim(config)
    keras.utils.set_random_seed(config.run.seed)
    if config.run.deterministic:
        tf.config.experimental.enable_op_determinism()
    if config.optimization.precision == "bfloat16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")

    splits = read_splits(config)
    stores = open_stores(config.data, splits)
    visible, infrared = stores["train", VISIBLE], stores["train", INFRARED]
    optimization = config.optimization
    length = optimization.steps_per_epoch or steps_in_epoch(
        len(visible.usable), len(infrared.usable), optimization.batch_size, optimization.epoch_by
    )
    model = build_model(config, length)
    training = Training(model, run, config, length, fingerprint(splits))
    announce(config, splits, stores, model, training)

    wait = DataWait()

    def batches(first_step, steps):
        return training_dataset(
            visible,
            infrared,
            config.augmentation,
            num_stripes=config.mmgl.num_stripes,
            batch_size=optimization.batch_size,
            seed=config.run.seed,
            first_step=first_step,
            total_steps=first_step + steps,
            steps_per_epoch=length,
            epoch_by=optimization.epoch_by,
            wait=wait,
        )

    validation, probe = _held_out(config, splits, stores, model)
    panels = Panels(config, probe, first_batch=lambda: next(iter(batches(0, 1))))

    def score(logs):
        name = f"val_accuracy/permutation_{config.validation.select_metric}"
        found = [float(value) for key, value in logs.items() if key.startswith(name)]
        return sum(found) / len(found) if found else None

    try:
        rows, saving = training.fit(
            batches,
            validation,
            wait,
            score if validation is not None else None,
            to_flat(config),
            probe=probe,
            watch=panels.attach,
        )
    except Interrupted as stopped:
        print(f"\n{stopped}; everything is saved in {run.root}. Give the same command again to go on.")
        return 128 + stopped.signum
    panels.write(rows, run.pictures)
    summarise(config, run, rows, saving)
    return 0


def build_model(config, length):
    """The compiled, built model of a configuration.

    Args:
        config: `flags.config.Config`.
        length: steps per epoch.
    """
    network, optimization = config.network, config.optimization
    encoder = Encoder(network.backbone, network.stream, network.stem_init, seed=config.run.seed)
    model = PRETRAINING["mmgl"](
        encoder, config.mmgl, config.run.seed, pcc_start_step=config.mmgl.pcc_start_epoch * length
    )
    model.build_from(config.data.image_height, config.data.image_width)
    model.compile(
        optimizer=TorchSGD(
            SCHEDULES[optimization.lr_schedule](
                optimization.learning_rate, optimization.warmup_epochs, optimization.epochs, length
            ),
            momentum=optimization.momentum,
            weight_decay=optimization.weight_decay,
            decay_norms_and_biases=optimization.wd_on_bn,
            global_clipnorm=optimization.clip_norm or None,
        ),
        jit_compile=optimization.jit_compile,
    )
    model.optimizer.build(model.trainable_variables)
    return model


def _held_out(config, splits, stores, model):
    """Validation data and probe on the held-out identities; (None, None) where nothing is held out."""
    if not len(splits.validation):
        return None, None
    visible, infrared = stores["validation", VISIBLE], stores["validation", INFRARED]
    validation = evaluation_dataset(
        visible,
        infrared,
        num_stripes=config.mmgl.num_stripes,
        seed=config.run.seed,
        batch_size=config.optimization.batch_size,
        permutations_per_image=config.validation.validation_permutations,
        max_images=config.validation.validation_images,
    )
    return validation, _probe(config, splits.validation, visible, infrared, model)


def _probe(config, split, visible, infrared, model):
    """A probe on images spread evenly over the held-out ones, each under one fixed stripe order."""
    images = config.validation.probe_images
    (batch,) = evaluation_dataset(
        visible,
        infrared,
        num_stripes=config.mmgl.num_stripes,
        seed=config.run.seed,
        batch_size=images,
        permutations_per_image=1,
        max_images=images,
    )
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
    )
