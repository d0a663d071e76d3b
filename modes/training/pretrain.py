"""--mode=pretrain: from image files to an encoder, by a method that needs no pairs of the same person."""

import functools

import numpy as np

from mmgl_tf.flags.config import options
from mmgl_tf.modes.reading import agree_on_images, identities_of, read_data, require_identities
from mmgl_tf.modes.training.pictures import PretrainingPictures
from mmgl_tf.modes.training.trainer import Material, train
from mmgl_tf.pipelines.batches.build import held_out_dataset, training_dataset
from mmgl_tf.pipelines.batches.plans import image_plan
from mmgl_tf.pipelines.records import INFRARED, VISIBLE
from mmgl_tf.pretraining import PRETRAINING
from mmgl_tf.pretraining.probe import Probe
from mmgl_tf.training.plan import TrainingPlan


def pretrain(config):
    """Run, or go on with, the pre-training of --workdir; see `trainer.train`."""
    return train(config, Images)


class Images(Material):
    """Images of the modalities that the method's recipe shows."""

    def __init__(self, config, distribution):
        self.config = config
        self.method, self.options = PRETRAINING[config.run.method], options(config)
        self.recipe = self.method.recipe(self.options, config.augmentation)
        self.splits, self.stores = distribution.chief_first(lambda: read_data(config))
        agree_on_images(distribution, self.stores)
        optimization, identities = config.optimization, None
        if self.recipe.labelled:
            require_identities(self.splits.train, f"--method={config.run.method}")
            identities = identities_of(self.splits.train)
        self.images = image_plan(
            self._images("train"),
            optimization.batch_size,
            config.run.seed,
            optimization.epoch_by,
            optimization.steps_per_epoch,
            self.recipe.modalities,
            identities,
        )
        classes = 0 if identities is None else len(np.unique(np.concatenate(identities)))
        self.plan = TrainingPlan(
            self.images.steps_per_epoch, optimization.epochs, optimization.batch_size, classes
        )

    def _images(self, name):
        """The stores of a split."""
        return self.stores[name, VISIBLE], self.stores[name, INFRARED]

    def batches(self, first_step, steps, wait, shards):
        """See `Material`."""
        return training_dataset(
            self._images("train"),
            self.recipe,
            self.images,
            first_step,
            first_step + steps,
            self.config.augmentation.data_threads,
            wait,
            shards,
        )

    def validation(self, shards):
        """Held-out images as the method wants to see them, or None."""
        if not len(self.splits.validation):
            return None
        validation = self.config.validation
        return functools.partial(
            held_out_dataset,
            self._images("validation"),
            self.method.held_out(self.options, validation.validation_permutations),
            self.plan.batch_size,
            self.config.run.seed,
            validation.validation_images,
            self.config.augmentation.data_threads,
            shards,
        )

    def probe(self, model, first_step):
        """On images spread evenly over the held-out ones, else over those of training."""
        name = "validation" if len(self.splits.validation) else "train"
        images = self.config.validation.probe_images
        batches = held_out_dataset(
            self._images(name),
            self.method.held_out(self.options, 1),
            images,
            self.config.run.seed,
            max_images=images,
        )
        batch = {key: value.numpy() for key, value in next(iter(batches)).items()}
        split = self.splits.validation if name == "validation" else self.splits.train
        source = f"{'held-out' if name == 'validation' else 'training'} images"
        return Probe(model, *_without_padding(batch, split), source)

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


def _without_padding(batch, split):
    """(the batch's real rows, (identities of the visible, of the infrared images) or None).

    Args:
        batch: a held-out batch as arrays, with `weight` and `index`.
        split: `pipelines.records.Split` that it shows.
    """
    weight, index = batch.pop("weight"), batch.pop("index")
    shown = [m for m, name in ((VISIBLE, "visible"), (INFRARED, "infrared")) if name in batch]
    count = len(weight) // len(shown)
    real = {m: weight[k * count : (k + 1) * count] > 0 for k, m in enumerate(shown)}
    rows = {}
    for name, value in batch.items():
        of_all = len(value) == len(weight) and len(shown) > 1
        keep = np.concatenate(list(real.values())) if of_all else real[_modality(name, shown)]
        rows[name] = value[keep]
    people = []
    for k, modality in enumerate(shown):
        samples = split.of_modality(modality)
        own = index[k * count : (k + 1) * count][real[modality]]
        people.append([samples[place].identity for place in own])
    known = len(shown) == 2 and all(identity is not None for half in people for identity in half)
    return rows, tuple(np.array(half, np.int64) for half in people) if known else None


def _modality(name, shown):
    """Whose rows a tensor of one modality has: told by its name, else the only or the first one's."""
    return INFRARED if name.startswith("infrared") else shown[0]
