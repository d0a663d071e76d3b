"""--mode=pretrain: from image files to an encoder, by a method that needs no pairs of the same person."""

import dataclasses
import functools
import shlex

import numpy as np

from mmgl_tf.figures import OF_A_SEARCH
from mmgl_tf.flags.config import options, settings, to_flat
from mmgl_tf.modes.reading import agree_on_images, identities_of, read_data, require_identities
from mmgl_tf.modes.training.encoder_retrieval import EncoderRetrieval, ProbeAndSearch
from mmgl_tf.modes.training.pictures import PretrainingPictures
from mmgl_tf.modes.training.survey import survey
from mmgl_tf.modes.training.trainer import Material, train
from mmgl_tf.pipelines.batches.build import held_out_dataset, training_dataset
from mmgl_tf.pipelines.batches.plans import image_classes, image_plan
from mmgl_tf.pipelines.batches.recipe import HeldOut, Recipe, each_modality
from mmgl_tf.pipelines.batches.recipe_engine import rows_by_modality
from mmgl_tf.pipelines.records import INFRARED, MODALITIES, VISIBLE
from mmgl_tf.pretraining import PRETRAINING
from mmgl_tf.pretraining.monitor.probe import Probe
from mmgl_tf.training.plan import TrainingPlan


def pretrain(config):
    """Run, or go on with, the pre-training of --workdir; see `trainer.train`."""
    return train(config, Images)


class Images(Material):
    """Images of the modalities that the method's recipe shows."""

    def __init__(self, config, distribution):
        self.config = config
        self.method, self.options = PRETRAINING[config.run.method], options(config)
        optimization, identities = config.optimization, None
        self.stages = self.method.stages(self.options, optimization.epochs)
        recipe = self.stages[0].recipe  # stages show the same images
        modalities = recipe.modalities
        self.splits, self.stores = distribution.chief_first(lambda: read_data(config, modalities))
        agree_on_images(distribution, self.stores)
        if self._chosen_by_search:
            self._require_people_held_out()
        self._require_several(modalities)
        if recipe.labelled:
            for split in (self.splits.train, self.splits.validation):
                require_identities(split, f"--method={config.run.method}", modalities)
            identities = identities_of(self.splits.train, modalities)
        self.images = image_plan(
            self._images("train"),
            optimization.batch_size,
            config.run.seed,
            config.pretraining.epoch_by,
            optimization.steps_per_epoch,
            modalities,
            identities,
        )
        shown = [] if identities is None else [identities[modality] for modality in modalities]
        self.plan = TrainingPlan(
            self.images.steps_per_epoch,
            optimization.epochs,
            optimization.batch_size,
            len(np.unique(np.concatenate(shown))) if shown else 0,
            len(modalities),
            survey(config, self.method, self.options, self.stores, distribution),
            tuple(stage.epochs for stage in self.stages) if len(self.stages) > 1 else (),
            optimization.warmup_epochs,
            self._fewer_held_out(modalities),
        )
        self._plain = None

    def _images(self, name):
        """The stores of a split, (visible, infrared); None for a modality that the data set lacks."""
        return self.stores.get((name, VISIBLE)), self.stores.get((name, INFRARED))

    def _fewer_held_out(self, modalities):
        """Held-out images of the modality that has least, if that does not fill a batch; else 0."""
        if not len(self.splits.validation):
            return 0
        most = self.config.pretraining.validation_images
        fewest = min(len(self.stores["validation", modality].usable) for modality in modalities)
        fewest = min(fewest, most) if most else fewest
        return fewest if fewest < self.config.optimization.batch_size else 0

    def start(self, model, first_step):
        """Training images at hand for a method that asks for them."""
        del first_step
        model.plain_batches = self._plain_batches
        if not self._chosen_by_search:
            return model.notes()
        model.shown = (*model.shown, *OF_A_SEARCH)
        metric = self.config.pretraining.select_by
        return [*model.notes(), ("best", f"by {metric} on validation identities, whose labels are read")]

    @property
    def _chosen_by_search(self):
        return self.config.pretraining.select_by != "method"

    def _require_several(self, modalities):
        """Refuses a split whose embeddings could not be compared with each other, as the probe does."""
        name = "validation" if len(self.splits.validation) else "train"
        for modality in modalities:
            usable = len(self.stores[name, modality].usable)
            if usable < 2:
                raise ValueError(
                    f"{usable} of the {MODALITIES[modality]} images in {name} of {self.splits.root} can be "
                    "read; expected at least 2, to compare embeddings. Add images, or hold none out with "
                    "--train_ids=trainval."
                )

    def _require_people_held_out(self):
        """Refuses a choice by search where nobody is there to be searched for."""
        held_out, flag = self.splits.validation, f"--select_by={self.config.pretraining.select_by}"
        images = {modality: len(held_out.of_modality(modality)) for modality in (VISIBLE, INFRARED)}
        if not all(images.values()):
            raise ValueError(
                f"{flag} searches for people held out, of whom there are {images[VISIBLE]} visible and "
                f"{images[INFRARED]} infrared images; both are needed. Hold some out with --train_ids=train, "
                "or leave --select_by out."
            )
        require_identities(held_out, flag)

    def _plain_batches(self, most):
        """See `PretrainingModel.plain_batches`."""
        if self._plain is None:  # once: TensorFlow never lets go of the function behind a data set
            stores, size = self._images("train"), self.config.optimization.batch_size
            views = [view for view in each_modality([[()], [()]]) if stores[view.modality] is not None]
            self._plain = held_out_dataset(
                stores,
                HeldOut(Recipe(tuple(views)), whole_batches=True),
                size,
                self.config.run.seed,
                max_images=most * size,
                threads=self.config.data.data_threads,
            ).take(most)
            self._plain = self._plain.map(lambda batch: {view.name: batch[view.name] for view in views})
        return self._plain

    def batches(self, first_step, steps, wait, shards):
        """See `Material`."""
        return training_dataset(
            self._images("train"),
            self.stages[self.plan.stage_of(first_step)].recipe,
            self.images,
            first_step,
            first_step + steps,
            self.config.data.data_threads,
            wait,
            shards,
        )

    def validation(self, shards):
        """Held-out images as the method wants to see them, or None."""
        if not len(self.splits.validation):
            return None
        return functools.partial(self._validated, shards)

    def _validated(self, shards, step):
        """Held-out images as the stage of a step wants to see them."""
        held_out = self.stages[self.plan.stage_of(step)].held_out
        return held_out_dataset(
            self._images("validation"),
            held_out,
            self.plan.batch_size,
            self.config.run.seed,
            self.config.pretraining.validation_images,
            self.config.data.data_threads,
            shards,
            self._classes(self.splits.validation, held_out.recipe),
        )

    def _classes(self, split, recipe):
        """Who is on the images of a split, where a recipe asks for it."""
        if not recipe.labelled:
            return None
        identities = identities_of(split, recipe.modalities)
        return image_classes(self._images(split.name), identities, recipe.modalities)

    def probe(self, model, first_step):
        """On images spread evenly over the held-out ones, else over those of training."""
        name = "validation" if len(self.splits.validation) else "train"
        images = self.config.pretraining.probe_images
        split = self.splits.validation if name == "validation" else self.splits.train
        batches = []
        for stage in self.stages:
            # Each image once, whatever the validation asks for.
            once = dataclasses.replace(stage.held_out, repeats=1)
            shown = held_out_dataset(
                self._images(name),
                once,
                images,
                self.config.run.seed,
                max_images=images,
                classes=self._classes(split, once.recipe),
            )
            batch = {key: value.numpy() for key, value in next(iter(shown)).items()}
            data = self.config.data
            rows = rows_by_modality(once.recipe, (data.image_height, data.image_width))
            batch, identities = without_padding(batch, split, rows)
            batches.append(batch)
        source = f"{'held-out' if name == 'validation' else 'training'} images"
        probe = Probe(model, batches, identities, source)
        if not self._chosen_by_search:
            return probe
        search = EncoderRetrieval(model, self.splits, self.stores, self.plan.batch_size)
        return ProbeAndSearch(probe, search)

    def score(self, model):
        """The method's own, on held-out images, or that of --select_by."""
        if self._chosen_by_search:
            metric = f"validation/{self.config.pretraining.select_by}"
            return lambda logs: logs.get(metric)
        return model.score if len(self.splits.validation) else None

    def held_out(self):
        """See `Material`."""
        if self.config.data.train_ids != "train" or not len(self.splits.validation):
            return ""
        return "identities never seen" if self.splits.validation.identities() else "held-out images"

    def pictures(self, model, probe, first_batch):
        """See `Material`."""
        return PretrainingPictures(model, probe, first_batch)

    def _fine_tuning(self, root):
        """The command that goes on from here, with what was typed about people, images and backbone."""
        same = {entry.name for group, entry in settings() if group in ("data", "world")}
        kept = sorted(self.config.typed & (same | {"preset", "backbone"}))
        flat = to_flat(self.config)
        words = [f"--{name}={flat[name]}" for name in kept]
        return shlex.join(["python", "main.py", "--mode=finetune", f"--init={root}", *words])

    def places(self, run, saving):
        """See `Material`."""
        why = "there is no accuracy to choose by" if self.held_out() else "nothing is held out"
        by = f", by validation {self.config.pretraining.select_by}" if self._chosen_by_search else ""
        best = f"epoch {saving.best_epoch}{by}" if saving.best_epoch else f"not chosen, {why}"
        encoder = run.weights("encoder", "best" if saving.best_epoch else "last")
        return [
            ("encoder", f"{encoder} (best: {best})"),
            ("fine-tune", self._fine_tuning(run.root)),
            ("pictures", run.pictures),
        ]


def without_padding(batch, split, rows):
    """(the batch's real rows, (identities of the visible, of the infrared images) or None).

    Args:
        batch: a held-out batch as arrays, with `weight` and `index`.
        split: `pipelines.records.Split` that it shows.
        rows: {name: modalities} of its tensors, from `rows_by_modality`.
    """
    weight, index = batch.pop("weight"), batch.pop("index")
    shown = sorted(set().union(*rows.values()))
    count = len(weight) // len(shown)
    real = {m: weight[k * count : (k + 1) * count] > 0 for k, m in enumerate(shown)}
    kept = {name: value[np.concatenate([real[m] for m in rows[name]])] for name, value in batch.items()}
    people = []
    for k, modality in enumerate(shown):
        samples = split.of_modality(modality)
        own = index[k * count : (k + 1) * count][real[modality]]
        people.append([samples[place].identity for place in own])
    known = len(shown) == 2 and all(identity is not None for half in people for identity in half)
    return kept, tuple(np.array(half, np.int64) for half in people) if known else None
