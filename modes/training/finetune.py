"""--mode=finetune: from an encoder to one that finds people, with identities."""

from mmgl_tf.flags.config import to_flat
from mmgl_tf.modes.model import build_finetuning
from mmgl_tf.modes.reading import agree_on_images, fingerprint, open_stores, read_splits
from mmgl_tf.modes.saved_run import require_start, start_encoder
from mmgl_tf.modes.training.announce import announce
from mmgl_tf.modes.training.attempt import attempt
from mmgl_tf.modes.training.begin import begin, shards_of
from mmgl_tf.modes.training.finetuning_summary import summarise
from mmgl_tf.modes.training.identity_search import IdentitySearch
from mmgl_tf.pipelines.batches.build import training_dataset
from mmgl_tf.pipelines.batches.data_wait import DataWait
from mmgl_tf.pipelines.batches.identity_sampling import missing_modality
from mmgl_tf.pipelines.batches.plans import people_plan
from mmgl_tf.pipelines.batches.recipe import finetuning_recipe
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
    images = stores["train", VISIBLE], stores["train", INFRARED]
    plan = people_plan(
        images,
        [
            [sample.identity for sample in splits.train.of_modality(modality)]
            for modality in (VISIBLE, INFRARED)
        ],
        options.identities_per_batch,
        options.images_per_identity,
        config.run.seed,
        optimization.steps_per_epoch,
    )
    length = plan.steps_per_epoch
    with distribution.scope():
        model = build_finetuning(config, len(splits.train.identities()), length)
    training = Training(model, run, config, length, 2 * plan.batch_size, fingerprint(splits), distribution)
    # A resumed run has its weights from its checkpoint.
    start = start_encoder(model.encoder, config) if not training.first_step else ["see the checkpoint"]
    lonely = [
        f"{len(found)} identities have no {modality} training image and are left out"
        for modality, found in zip(("visible", "infrared"), missing_modality(*plan.classes), strict=True)
        if len(found)
    ]
    if distribution.chief:
        notes = [("start", line) for line in start + lonely]
        announce(config, splits, stores, model, training, distribution, notes)

    wait = DataWait()

    def batches(first_step, steps):
        return training_dataset(
            images,
            finetuning_recipe(config.augmentation),
            plan,
            first_step,
            first_step + steps,
            config.augmentation.data_threads,
            wait,
            shards_of(distribution),
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
