"""A tiny case of every registered method, made of what the method says of itself; none is named here.

A method's settings class may have `TINY`, {setting: value}, for what makes it small; batches come from its
own recipe, through the real pipeline, of made-up images.
"""

import functools
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from mmgl_tf.flags.config import Config, from_flat, options
from mmgl_tf.flags.methods import METHODS as SETTINGS
from mmgl_tf.flags.resolution import resolve
from mmgl_tf.modes.model import METHODS as CLASSES
from mmgl_tf.modes.model import build_model, prepare
from mmgl_tf.pipelines.batches.build import held_out_dataset, training_dataset
from mmgl_tf.pipelines.batches.plans import BatchPlan, image_plan, people_plan
from mmgl_tf.pipelines.batches.recipe import Recipe, finetuning_recipe
from mmgl_tf.pretraining import PRETRAINING
from mmgl_tf.training.plan import TrainingPlan
from tests.pipelines.fake_store import FakeStore

METHODS = tuple(CLASSES)
HEIGHT, WIDTH, PAIRS = 96, 48, 4
PEOPLE, EACH = 4, 2  # of the made-up images: identities, and images of each in a modality
# Epochs of one step, so that a second step comes after an epoch's end.
EPOCHS = 3
SIZES = {
    "backbone": "resnet10",
    "image_height": HEIGHT,
    "image_width": WIDTH,
    "batch_size": PAIRS,
    "identities_per_batch": PAIRS // EACH,
    "images_per_identity": EACH,
    "epochs": EPOCHS,
    "steps_per_epoch": 1,
    "pad_pixels": 4,
    "data_threads": 1,
    "seed": 2,
}
# A rate that moves every weight, and falls, and no decay, which would move them without any gradient.
OPTIMIZATION = {
    "learning_rate": 0.05,
    "lr_schedule": "offset",
    "warmup_epochs": 0.0,
    "weight_decay": 0.0,
}


@dataclass(frozen=True, eq=False)
class Case:
    """A method with everything that a run of it needs.

    Attributes:
        method: its name.
        config: the run's settings.
        plan: of the run.
        stages: what the method wants of a batch in each stage of the run.
        images: which images meet in which step.
    """

    method: str
    config: Config
    plan: TrainingPlan
    stages: tuple[Recipe, ...]
    images: BatchPlan

    def model(self, seed=None):
        """Built and compiled, as a run's; another seed gives other weights."""
        prepare(self.config)
        config = self.config if seed is None else case(self.method, seed=seed).config
        return build_model(config, self.plan)

    def batch(self, step=0):
        """The training batch of a step: {name: tensor}."""
        recipe = self.stages[self.plan.stage_of(step)]
        return next(iter(training_dataset(stores(), recipe, self.images, step, step + 1, threads=1)))

    def noise(self, batch, seed):
        """A batch whose images say nothing of anything: each pixel drawn by itself, in each view anew."""
        dice = np.random.default_rng(seed)
        views = {view.name for view in self.recipe.views}
        return {
            name: tf.constant(dice.standard_normal(value.shape), value.dtype) if name in views else value
            for name, value in batch.items()
        }

    def held_out(self):
        """A batch of images that are not trained on, as pre-training methods are judged by it."""
        wanted = CLASSES[self.method].held_out(options(self.config), 1)
        return next(iter(held_out_dataset(stores(1), wanted, PAIRS, 0, threads=1)))


@functools.cache
def stores(number=0):
    """(visible, infrared) images: 0 = those of training, another number = of other people."""
    size = {"height": HEIGHT, "width": WIDTH}
    images = PEOPLE * EACH
    return (
        FakeStore(images, seed=2 * number, **size),
        FakeStore(images, channels=1, seed=2 * number + 1, **size),
    )


def case(method, recipe="common", **changes):
    """The case of a method.

    Args:
        method: key of `METHODS`.
        recipe: "common" has this module's optimisation, "native" the method's own.
        **changes: settings that are not as usual.

    Raises:
        ValueError: the method does not take such settings.
    """
    mode = "pretrain" if method in PRETRAINING else "finetune"
    typed = SIZES | (OPTIMIZATION if recipe == "common" else {"weight_decay": 0.0})
    typed |= getattr(SETTINGS[method], "TINY", {}) | changes | {"method": method, "recipe": recipe}
    config = from_flat(resolve(mode, typed) | {"mode": mode})
    identities = (np.repeat(np.arange(PEOPLE), EACH),) * 2
    lengths = ()
    if mode == "finetune":
        recipes = (finetuning_recipe(config.augmentation),)
        each = (config.finetuning.identities_per_batch, config.finetuning.images_per_identity)
        images = people_plan(stores(), identities, *each, config.run.seed, 1)
    else:
        stages = CLASSES[method].stages(options(config), config.augmentation, 1, config.optimization.epochs)
        recipes = tuple(stage.recipe for stage in stages)
        lengths = tuple(stage.epochs for stage in stages) if len(stages) > 1 else ()
        images = image_plan(
            stores(),
            PAIRS,
            config.run.seed,
            steps_per_epoch=1,
            modalities=recipes[0].modalities,
            identities=identities if recipes[0].labelled else None,
        )
    classes = PEOPLE if recipes[0].labelled else 0
    plan = TrainingPlan(1, config.optimization.epochs, PAIRS, classes, stages=lengths)
    return Case(method, config, plan, recipes, images)


def take_step(model, batch):
    """An eager step, as tracing a graph would cost more than it does: {name of a figure: its value}."""
    for mean in model.train_means.values():
        mean.reset_state()
    return {name: float(value) for name, value in model.train_step(batch).items()}


def assert_equal(found, expected):
    """Two states as `mmgl_tf.training.checkpoints.collect` returns them, to the last bit."""
    assert set(found) == set(expected)
    different = [name for name in expected if not np.array_equal(found[name], expected[name], equal_nan=True)]
    assert not different, f"{len(different)} of {len(expected)} arrays differ, such as {different[:3]}"
