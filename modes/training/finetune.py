"""--mode=finetune: from an encoder to one that finds people, with identities."""

import numpy as np

from mmgl_tf.flags.config import to_flat
from mmgl_tf.modes.model import build_finetuning
from mmgl_tf.modes.reading import agree_on_images, data_fingerprint, open_stores, read_splits
from mmgl_tf.modes.saved_run import require_start, start_encoder
from mmgl_tf.modes.training.announce import announce
from mmgl_tf.modes.training.attempt import attempt
from mmgl_tf.modes.training.begin import begin, shards_of
from mmgl_tf.modes.training.finetuning_summary import summarise
from mmgl_tf.modes.training.identity_search import IdentitySearch
from mmgl_tf.pipelines.batches.build import finetuning_dataset
from mmgl_tf.pipelines.batches.data_wait import DataWait
from mmgl_tf.pipelines.batches.identity_sampling import (
    class_labels,
    missing_modality,
    steps_in_identity_epoch,
)
from mmgl_tf.pipelines.records import INFRARED, VISIBLE
from mmgl_tf.training.fit import Training


def finetune(config):
    """Run, or go on with, the fine-tuning of --workdir.

    Returns:
        Exit status: 0 when the run is complete, 128 + signal where it was asked to stop, 3 where it diverged.
    """
    require_start(config.finetuning.init)
    return begin(config, _finetune)


def _finetune(config, run, distribution):
    splits = distribution.chief_first(lambda: read_splits(config))
    options, optimization = config.finetuning, config.optimization
    unlabelled = sum(sample.identity is None for sample in splits.train.samples)
    if unlabelled:
        raise ValueError(
            f"{unlabelled} of {len(splits.train)} training images have no identity; fine-tuning needs them. "
            "In a folder data set each person has a directory of their own below visible/ and infrared/."
        )
    stores = distribution.chief_first(lambda: open_stores(config.data, splits))
    agree_on_images(distribution, stores)
    classes = class_labels(sample.identity for sample in splits.train.samples)
    images = {modality: stores["train", modality] for modality in (VISIBLE, INFRARED)}
    labels = {
        modality: np.array([classes[sample.identity] for sample in splits.train.of_modality(modality)])
        for modality in images
    }
    length = optimization.steps_per_epoch or steps_in_identity_epoch(
        len(images[VISIBLE].usable),
        len(images[INFRARED].usable),
        options.identities_per_batch,
        options.images_per_identity,
    )
    batch = options.identities_per_batch * options.images_per_identity
    with distribution.scope():
        model = build_finetuning(config, len(classes), length)
    training = Training(model, run, config, length, 2 * batch, data_fingerprint(splits), distribution)
    # A resumed run has its weights from its checkpoint.
    start = start_encoder(model.encoder, config) if not training.first_step else ["see the checkpoint"]
    lonely = [
        f"{len(found)} identities have no {modality} training image and are left out"
        for modality, found in zip(
            ("visible", "infrared"), missing_modality(labels[VISIBLE], labels[INFRARED]), strict=True
        )
        if len(found)
    ]
    if distribution.chief:
        notes = [("start", line) for line in start + lonely]
        announce(config, splits, stores, model, training, distribution, notes)

    wait = DataWait()

    def batches(first_step, steps):
        return finetuning_dataset(
            images[VISIBLE],
            images[INFRARED],
            labels[VISIBLE],
            labels[INFRARED],
            config.augmentation,
            identities_per_batch=options.identities_per_batch,
            images_per_identity=options.images_per_identity,
            seed=config.run.seed,
            first_step=first_step,
            total_steps=first_step + steps,
            steps_per_epoch=length,
            wait=wait,
            shards=shards_of(distribution),
        )

    probe = None
    if len(splits.validation) and all(sample.identity is not None for sample in splits.validation.samples):
        probe = IdentitySearch(
            model.embedder,
            splits,
            stores,
            optimization.batch_size,
            config.validation.retrieval_every_epochs,
            optimization.epochs,
            training.first_step // length if training.first_step else -1,
        )
    metric = f"validation/{config.validation.retrieval_metric}"
    status, result = attempt(
        lambda: training.fit(
            batches, None, wait, lambda logs: logs.get(metric), to_flat(config), probe=probe
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
    summarise(config, run, rows, saving, model)
    return 0
