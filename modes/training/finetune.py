"""--mode=finetune: from an encoder to one that finds people, with identities."""

import numpy as np

from mmgl_tf.finetuning import FINETUNING
from mmgl_tf.flags.config import options
from mmgl_tf.flags.presets import long_enough
from mmgl_tf.modes.reading import agree_on_images, identities_of, open_stores, read_splits, require_identities
from mmgl_tf.modes.saved_run import require_start, start_encoders
from mmgl_tf.modes.start import note_start, start_in_words, start_of
from mmgl_tf.modes.training.pictures import NoPictures
from mmgl_tf.modes.training.trainer import Material, train
from mmgl_tf.modes.training.validation_retrieval import ValidationRetrieval
from mmgl_tf.pipelines.batches.build import training_dataset
from mmgl_tf.pipelines.batches.identity_sampling import missing_modality
from mmgl_tf.pipelines.batches.plans import people_plan
from mmgl_tf.pipelines.records import INFRARED, MODALITIES, VISIBLE
from mmgl_tf.run_directory import RunDirectory
from mmgl_tf.training.plan import TrainingPlan


def finetune(config):
    """Run, or go on with, the fine-tuning of --workdir; see `trainer.train`."""
    if not RunDirectory(config.run.workdir).begun():  # else it has its weights from its checkpoint
        require_start(config)
    return train(config, LabelledImages)


class LabelledImages(Material):
    """Images of both modalities and who is on them."""

    def __init__(self, config, distribution):
        self.config, self.chief = config, distribution.chief
        self.recipe = FINETUNING[config.run.method].recipe(options(config))
        self.splits = distribution.chief_first(lambda: read_splits(config))
        train = self.splits.train
        require_identities(train, "--mode=finetune")
        self.stores = distribution.chief_first(lambda: open_stores(config.data, self.splits))
        agree_on_images(distribution, self.stores)
        self.labels = identities_of(train)
        self.images = people_plan(
            self._images(),
            self.labels,
            config.finetuning.identities_per_batch,
            config.finetuning.images_per_identity,
            config.run.seed,
            config.optimization.steps_per_epoch,
            self.recipe.sampler,
        )
        self.plan = TrainingPlan(
            self.images.steps_per_epoch,
            config.optimization.epochs,
            self.images.batch_size,
            len(np.unique(np.concatenate(self.labels))),
        )

    def _images(self):
        """The stores of the training images."""
        return self.stores["train", VISIBLE], self.stores["train", INFRARED]

    def start(self, model, first_step):
        """The weights that --init names."""
        # A resumed run has its weights from its checkpoint.
        start = ["see the checkpoint"] if first_step else start_encoders(model.embedder, self.config)
        workdir, init = self.config.run.workdir, self.config.finetuning.init
        if not first_step and self.chief:
            note_start(workdir, init)
        known = start_of(workdir, {"init": init})
        if known and (words := start_in_words(known["settings"])):
            ended = "" if known["status"] == "complete" else f"; its status was {known['status']}"
            start.append(f"trained as {words}{ended}")
        lonely = [
            f"{len(found)} identities have no {modality} training image and are left out"
            for modality, found in zip(
                MODALITIES,
                missing_modality(*self.labels),
                strict=True,
            )
            if len(found)
        ]
        return [("start", line) for line in start + lonely]

    def batches(self, first_step, steps, wait, shards):
        """See `Material`."""
        return training_dataset(
            self._images(),
            self.recipe,
            self.images,
            first_step,
            first_step + steps,
            self.config.data.data_threads,
            wait,
            shards,
        )

    def probe(self, model, first_step):
        """A search of the validation identities, where there are any."""
        validation = self.splits.validation
        if not len(validation) or any(sample.identity is None for sample in validation.samples):
            return None
        return ValidationRetrieval(
            model.embedder,
            self.splits,
            self.stores,
            self.config.optimization.batch_size,
            self.config.finetuning.retrieval_every_epochs,
            self.config.optimization.epochs,
            first_step // self.plan.steps_per_epoch if first_step else -1,
        )

    def score(self, model):
        """The figure of --retrieval_metric on validation identities."""
        metric = f"validation/{self.config.finetuning.retrieval_metric}"
        return lambda logs: logs.get(metric)

    def at_chance(self, probe, last):
        """By the search after the last epoch; see `mmgl_tf.retrieval.chance`."""
        judged = probe is not None and "validation/mAP" in last
        if not (judged and long_enough(self.config.run.preset)):
            return ""
        found, chance = last["validation/mAP"], probe.chance()
        if found > chance.limit:
            return ""
        return (
            f"mAP on validation identities is {found:.2%}, which is not above chance: {chance.mean:.2%} on "
            f"average, {chance.limit:.2%} at most"
        )

    def held_out(self):
        """See `Material`."""
        return "validation identities"

    def pictures(self, model, probe, first_batch):
        """None here: --mode=eval and visualize draw them."""
        return NoPictures()

    def places(self, run, saving):
        """See `Material`."""
        best = "; no best, as nobody was held out"
        if saving.best_epoch:
            metric = self.config.finetuning.retrieval_metric
            best = f" and embedder_best (epoch {saving.best_epoch}, by validation {metric})"
        return [
            ("weights", f"{run.weights('embedder', 'last')}{best}"),
            ("evaluate", f"python main.py --mode=eval --init={run.root}"),
        ]
