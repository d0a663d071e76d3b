"""A tiny case of every registered method, made of what the method says of itself; none is named here.

A method's settings class may have `TINY`, {setting: value}, for what makes it small. The rest is what a run
does: `mmgl_tf.modes.training` reads made-up images, asks the method for its recipe, and plans the batches.
"""

import contextlib
import functools
import tempfile
from unittest import mock

import numpy as np
import tensorflow as tf

from mmgl_tf.flags.config import defaults, from_flat, unmet, unread_settings
from mmgl_tf.flags.methods import METHODS as SETTINGS
from mmgl_tf.flags.resolution import resolve
from mmgl_tf.flags.validation import validate
from mmgl_tf.machines.distribution import Distribution
from mmgl_tf.modes.model import METHODS as CLASSES
from mmgl_tf.modes.model import build_model, prepare
from mmgl_tf.modes.training import finetune, pretrain
from mmgl_tf.pipelines.batches.shards import WHOLE
from mmgl_tf.pipelines.records import (
    INFRARED,
    MODALITIES,
    VISIBLE,
    DatasetSplits,
    Protocol,
    Sample,
    Split,
)
from mmgl_tf.pretraining import PRETRAINING
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
    "probe_images": PEOPLE * EACH,
    "validation_permutations": 1,
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


class Case:
    """A method with everything that a run of it needs; see `case`.

    Attributes:
        method: its name.
        config: the run's settings.
        material: images, plan and batches of such a run.
    """

    def __init__(self, method, config):
        self.method, self.config = method, config
        self.material = _material(config)

    def model(self):
        """Built and compiled, as in a run."""
        prepare(self.config)
        model = build_model(self.config, self.material.plan)
        self.material.start(model, 0)
        return model

    @property
    def stages(self):
        """The first step of each stage of the run; (0,) for a method that trains in one."""
        return self.material.plan.stage_starts

    def batch(self, step=0):
        """The training batch of a step: {name: tensor}."""
        return next(iter(self.material.batches(step, 1, None, WHOLE)))

    def held_out(self, step=0):
        """A batch of images that are not trained on, as in validation after a step.

        None for a method that looks at none.
        """
        batches = self.material.validation(WHOLE)
        return next(iter(batches(step))) if batches else None


def case(method, recipe="common", **changes):
    """The case of a method.

    Args:
        method: key of `METHODS`.
        recipe: "common" has this module's optimisation, "native" the method's own but for rate and decay.
        **changes: settings that are not as usual.

    Raises:
        ValueError: the method does not take such settings.
    """
    mode = "pretrain" if method in PRETRAINING else "finetune"
    # A native rate is for hundreds of images: of these few a step would be lost in rounding.
    native = {name: OPTIMIZATION[name] for name in ("learning_rate", "weight_decay")}
    typed = SIZES | (OPTIMIZATION if recipe == "common" else native)
    typed |= getattr(SETTINGS[method], "TINY", {}) | changes | {"method": method, "recipe": recipe}
    idle = {name for name in typed if unmet(name, defaults() | typed)} | set(unread_settings(mode, method))
    typed = {name: value for name, value in typed.items() if name not in idle or name in changes}
    settings = resolve(mode, typed) | {"mode": mode, "workdir": tempfile.mkdtemp(dir=_directory().name)}
    config = from_flat(settings)
    validate(config)
    return Case(method, config)


@functools.cache
def _directory():
    """Where runs would write; as long as this process."""
    return tempfile.TemporaryDirectory(prefix="contracts-")


def _material(config):
    """What a run of a configuration works on, with made-up images in place of a data set."""
    samples = [Sample(f"{m}-{n}", n // EACH, m, m) for m in (VISIBLE, INFRARED) for n in range(PEOPLE * EACH)]
    kinds = {name: Split(name, tuple(samples)) for name in ("train", "validation")}
    splits = DatasetSplits("made up", "", **kinds, query=Split("query", (), Protocol("plain")))
    kind = pretrain.Images if config.run.mode == "pretrain" else finetune.LabelledImages
    with contextlib.ExitStack() as patches:
        for module, name, found in (
            (pretrain, "read_data", (splits, stores())),
            (finetune, "read_splits", splits),
            (finetune, "open_stores", stores()),
        ):
            patches.enter_context(mock.patch.object(module, name, return_value=found))
        return kind(config, Distribution("none"))


@functools.cache
def stores():
    """{(split name, modality): images}: infrared ones are grey."""
    return {
        (name, modality): FakeStore(
            PEOPLE * EACH, 3 if modality == VISIBLE else 1, height=HEIGHT, width=WIDTH, seed=2 * n + modality
        )
        for n, name in enumerate(("train", "validation"))
        for modality in (VISIBLE, INFRARED)
    }


def take_step(model, batch):
    """An eager step, as tracing a graph would cost more than it does: {name of a figure: its value}."""
    for mean in model.train_means.values():
        mean.reset_state()
    return {name: float(value) for name, value in model.train_step(batch).items()}


def with_images(batch, make):
    """A batch with other images; its targets stay.

    Args:
        batch: {name: tensor}.
        make: function shape -> array, for each view by itself.
    """
    return {
        name: tf.constant(make(value.shape), value.dtype) if name.split("_")[0] in MODALITIES else value
        for name, value in batch.items()
    }


def in_double(batch):
    """A batch with images in float64: what a network does to them before its first layer rounds alike."""
    return {
        name: tf.cast(value, tf.float64) if name.split("_")[0] in MODALITIES else value
        for name, value in batch.items()
    }


def assert_equal(found, expected):
    """Two states as `mmgl_tf.training.checkpoints.collect` returns them, to the last bit."""
    assert set(found) == set(expected)
    different = [name for name in expected if not np.array_equal(found[name], expected[name], equal_nan=True)]
    assert not different, f"{len(different)} of {len(expected)} arrays differ, such as {different[:3]}"


def traced_step(model, of, step=0):
    """The concrete function of a training step on batches as a step has them."""
    signature = {name: tf.TensorSpec(value.shape, value.dtype) for name, value in of.batch(step).items()}
    return tf.function(model.train_step, autograph=False).get_concrete_function(signature)
