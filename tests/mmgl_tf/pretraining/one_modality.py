"""Methods that train on the images of one modality, as small as they come: models and batches for tests."""

import numpy as np
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.flags.config import options_type
from mmgl_tf.optimizers.torch_sgd import TorchSGD
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.pretraining import PRETRAINING
from mmgl_tf.training.plan import TrainingPlan

IMAGES, HEIGHT, WIDTH, PEOPLE = 4, 32, 16, 3


def build(method, stream="two", plan=None, seed=2, **changes):
    """A compiled model."""
    sizes = {"colorization": {"colorization_hidden_size": 8}}.get(method, {})
    options = options_type(method)(**sizes | changes)
    plan = plan or TrainingPlan(batch_size=IMAGES, num_identities=PEOPLE, modalities=1)
    model = PRETRAINING[method](Encoder("resnet10", stream, seed=1), options, seed, plan)
    model.build_from(HEIGHT, WIDTH)
    model.compile(optimizer=TorchSGD(0.05, weight_decay=1e-2))
    model.optimizer.build(model.trained_variables)
    return model


def batch(model, seed=0, images=IMAGES):
    """What the model's recipe gives, of noise."""
    dice = np.random.default_rng(seed)
    made = {m: dice.standard_normal((images, HEIGHT, WIDTH, 3)) for m in model.modalities}
    rows = images * len(made)
    if model.name == "colorization":
        made["ab"] = dice.uniform(-40, 40, (images, HEIGHT // 4, WIDTH // 4, 2))
    made = {name: tf.constant(value, tf.float32) for name, value in made.items()}
    if model.name == "supervised":
        made["labels"] = tf.constant(np.arange(rows) % PEOPLE, tf.int32)
    return made


def plain(seed=7):
    """Plain images of both modalities."""
    dice = np.random.default_rng(seed)
    shape = (IMAGES, HEIGHT, WIDTH, 3)
    return {m: tf.constant(dice.standard_normal(shape) + 1, tf.float32) for m in MODALITIES}


def values(variables):
    """{path: array}."""
    return {variable.path: variable.numpy() for variable in variables}
