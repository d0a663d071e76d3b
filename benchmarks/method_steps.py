"""What a step of each pre-training method costs beside MMGL's, and how much of it heads and losses take.

    python -m benchmarks.train_step --method=all [--batch 8] [--size 288x144] [--backbone resnet50]

Methods take turns within a round, on one core, by processor time; each ratio is to MMGL in the same round.
Two-view methods see twice as many images a step. Heads and losses are the same step with a trunk that only
averages, so augmentation is not in it.
"""

import keras
import numpy as np
import tensorflow as tf

from benchmarks.median_and_range import median_and_range
from benchmarks.train_step import alternate
from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning import FINETUNING
from mmgl_tf.flags.config import from_flat, options
from mmgl_tf.flags.methods import title
from mmgl_tf.flags.resolution import resolve
from mmgl_tf.modes.model import METHODS, make_optimizer
from mmgl_tf.pipelines.batches.plans import image_plan, people_plan
from mmgl_tf.pipelines.batches.training_batches import TrainingBatches
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.pretraining import PRETRAINING
from mmgl_tf.training.plan import TrainingPlan

CLASSES = 395  # SYSU-MM01's training identities


class AveragingTrunk(keras.layers.Layer):
    """Stands for the encoder where heads and losses are timed: feature maps without a convolution.

    Args:
        num_features: channels of the feature map.
        stride: pixels that a cell stands for.
        name: of the layer.
    """

    stream = "one"  # no stem could stay unseen

    def __init__(self, num_features, stride, name="encoder"):
        super().__init__(name=name)
        self.num_features, self.stride = num_features, stride
        self.stems = {}

    def stages_until(self, name):
        """All that there is, whatever the last stage is to be."""
        del name
        return [self]

    def build_from(self, height, width):
        """One weight, so that there is a gradient; returns rows and columns of the feature map."""
        self.scale = self.add_weight(name="scale", shape=(self.num_features,), initializer="ones")
        self.built = True
        return height // self.stride, width // self.stride

    def get_config(self):
        """Constructor arguments, for a momentum copy."""
        return {"num_features": self.num_features, "stride": self.stride, "name": self.name}

    def call(self, inputs, training=None, **_):
        """Dict of [b, H, W, 3] -> [2b, h, w, C], visible images first."""
        images = tf.concat([inputs[m] for m in MODALITIES if m in inputs], axis=0)
        stride = self.stride
        pooled = tf.nn.avg_pool2d(images[..., :1], stride, stride, "SAME")
        return tf.cast(pooled, tf.float32) * self.scale


class OneImage:
    """A store whose images are all the same one; it only tells the engine their size."""

    def __init__(self, number, height, width):
        self.usable, self._image = np.arange(number), np.zeros((height, width, 3), np.uint8)

    def __len__(self):
        return len(self.usable)

    def __getitem__(self, index):
        return self._image


def configuration(method, arguments, height, width):
    """The configuration that a run of the method has, at the paper's size unless told otherwise."""
    typed = {"method": method, "backbone": arguments.backbone, "batch_size": arguments.batch}
    typed |= {"image_height": height, "image_width": width}
    return from_flat(resolve("pretrain", typed) | {"mode": "pretrain"})


def random_batch(config, seed=0):
    """A batch as the method's recipe has it, of random pixels: {name: tensor}."""
    fine = config.run.method in FINETUNING
    people, each = config.finetuning.identities_per_batch, config.finetuning.images_per_identity
    size = people * each if fine else config.optimization.batch_size
    stores = [OneImage(size, config.data.image_height, config.data.image_width)] * 2
    recipe = METHODS[config.run.method].recipe(options(config))
    identities = [np.arange(size) // each if fine else np.arange(size) % CLASSES] * 2
    if fine:
        plan = people_plan(stores, identities, people, each, 0, 1, recipe.sampler)
    else:
        labels = identities if recipe.labelled else None
        plan = image_plan(stores, size, 0, modalities=recipe.modalities, identities=labels)
    batches, random = TrainingBatches(stores, recipe, plan, threads=1), np.random.default_rng(seed)
    drawn = batches(0)  # its targets are as they must be; only the pixels are made up
    return {
        name: tf.constant(
            random.standard_normal(value.shape).astype(value.dtype) if value.ndim > 3 else value
        )
        for name, value in drawn.items()
    }


def step_of(config, trunk):
    """A function that takes one training step and returns the loss.

    Args:
        config: of `configuration`.
        trunk: True for the network's, False for `AveragingTrunk`.
    """
    method, network = PRETRAINING[config.run.method], config.network
    encoder = Encoder(network.backbone, network.stream, **method.encoder_options(options(config)))
    if not trunk:
        encoder = AveragingTrunk(encoder.num_features, encoder.stride)
    plan = TrainingPlan(100, 100, config.optimization.batch_size, CLASSES)
    model = method(encoder, options(config), 0, plan)
    model.build_from(config.data.image_height, config.data.image_width)
    optimizer = make_optimizer(config, model, 100)
    model.compile(optimizer=optimizer, jit_compile=False, auto_scale_loss=False)
    model.optimizer.build(model.trained_variables)
    batch = random_batch(config)
    # Concrete: TensorFlow counts traces by source line and would warn of ten methods.
    step = tf.function(model.train_step, autograph=False).get_concrete_function(batch)
    return lambda: float(step(batch)["loss/total"])


def compare_methods(arguments, height, width):
    """Prints the table."""
    names = (
        list(PRETRAINING) if arguments.method == "all" else list(dict.fromkeys(["mmgl", arguments.method]))
    )
    configs = {name: configuration(name, arguments, height, width) for name in names}
    steps = {name: step_of(config, trunk=True) for name, config in configs.items()}
    heads = {f"{name} heads": step_of(config, trunk=False) for name, config in configs.items()}
    seconds = alternate(steps | heads, arguments.rounds)
    halves = f"{arguments.batch} + {arguments.batch}"
    print(
        f"A step on {halves} images of {height}x{width}, {arguments.backbone}, float32, median [least, most]:"
    )
    print(f"  {'':<16}{'seconds':>22}{'of MMGL':>22}{'heads and losses':>24}")
    for name in names:
        own, whole = seconds[f"{name} heads"], seconds[name]
        ratio = [mine / mmgl for mine, mmgl in zip(whole, seconds["mmgl"], strict=True)]
        share = [100 * part / all_ for part, all_ in zip(own, whole, strict=True)]
        print(
            f"  {title(name):<16}{median_and_range(whole):>22}{median_and_range(ratio):>22}"
            f"{median_and_range(share, '{:.1f}') + ' %':>24}",
            flush=True,
        )
