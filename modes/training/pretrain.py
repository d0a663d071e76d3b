"""--mode=pretrain: from image files to an encoder, before anybody is told apart."""

import functools

import numpy as np

from mmgl_tf.modes.reading import agree_on_images, read_data
from mmgl_tf.modes.training.pictures import PretrainingPictures
from mmgl_tf.modes.training.trainer import Material, train
from mmgl_tf.pipelines.batches.build import held_out_dataset, training_dataset
from mmgl_tf.pipelines.batches.plans import image_plan
from mmgl_tf.pipelines.batches.recipe import mmgl_held_out, mmgl_recipe
from mmgl_tf.pipelines.records import INFRARED, VISIBLE
from mmgl_tf.pretraining.probe import Probe
from mmgl_tf.training.plan import TrainingPlan


def pretrain(config):
    """Run, or go on with, the pre-training of --workdir; see `trainer.train`."""
    return train(config, Images)


class Images(Material):
    """Images of both modalities, without labels; the method's recipe says what becomes of them."""

    def __init__(self, config, distribution):
        self.config = config
        self.splits, self.stores = distribution.chief_first(lambda: read_data(config))
        agree_on_images(distribution, self.stores)
        optimization = config.optimization
        self.images = [self.stores["train", modality] for modality in (VISIBLE, INFRARED)]
        self.recipe = mmgl_recipe(config.augmentation, config.mmgl.num_stripes)
        self.batch_plan = image_plan(
            self.images,
            optimization.batch_size,
            config.run.seed,
            optimization.epoch_by,
            optimization.steps_per_epoch,
            self.recipe.modalities,
        )
        length = self.batch_plan.steps_per_epoch
        self.plan = TrainingPlan(length, optimization.epochs, optimization.batch_size)

    def batches(self, first_step, steps, wait, shards):
        """See `Material`."""
        threads = self.config.augmentation.data_threads
        last = first_step + steps
        return training_dataset(
            self.images, self.recipe, self.batch_plan, first_step, last, threads, wait, shards
        )

    def validation(self, shards):
        """Held-out images, or None."""
        if not len(self.splits.validation):
            return None
        validation = self.config.validation
        return functools.partial(
            self._held_out,
            "validation",
            self.plan.batch_size,
            validation.validation_permutations,
            validation.validation_images,
            shards=shards,
        )

    def probe(self, model, first_step):
        """On unaugmented images spread evenly over the held-out ones, else over those of training."""
        name = "validation" if len(self.splits.validation) else "train"
        split = self.splits.validation if name == "validation" else self.splits.train
        images = self.config.validation.probe_images
        (batch,) = self._held_out(name, images, 1, images)
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
            f"{'held-out' if name == 'validation' else 'training'} images",
        )

    def _held_out(self, name, batch_size, permutations, max_images, **more):
        return held_out_dataset(
            [self.stores[name, modality] for modality in (VISIBLE, INFRARED)],
            mmgl_held_out(self.config.mmgl.num_stripes, permutations),
            batch_size,
            self.config.run.seed,
            max_images,
            self.config.augmentation.data_threads,
            **more,
        )

    def score(self, model):
        """The method's own, on held-out images."""
        return model.score if len(self.splits.validation) else None

    def held_out(self):
        """See `Material`."""
        if self.config.data.train_ids != "train" or not len(self.splits.validation):
            return ""
        return "identities never seen" if self.splits.validation.identities() else "held-out images"

    def pictures(self, model, probe, first_batch):
        """See `Material`."""
        return PretrainingPictures(model, probe, first_batch)

    def places(self, run, saving):
        """See `Material`."""
        why = "there is no accuracy to choose by" if self.held_out() else "nothing is held out"
        best = f"epoch {saving.best_epoch}" if saving.best_epoch else f"not chosen, {why}"
        encoder = run.weights("encoder", "best" if saving.best_epoch else "last")
        return [("encoder", f"{encoder} (best: {best})"), ("pictures", run.pictures)]
