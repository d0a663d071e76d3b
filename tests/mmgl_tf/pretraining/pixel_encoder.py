"""Two-view methods on a stand-in for the encoder that NumPy can follow: models and batches for tests."""

import keras
import numpy as np
import tensorflow as tf

from mmgl_tf.flags.config import options_type
from mmgl_tf.flags.methods import METHODS as SETTINGS
from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm
from mmgl_tf.optimizers.torch_sgd import TorchSGD
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.pretraining import PRETRAINING
from mmgl_tf.training.plan import TrainingPlan

IMAGES, HEIGHT, WIDTH = 4, 2, 1
METHODS = ("simclr", "swav", "byol", "simsiam", "barlow_twins")


class PixelEncoder(keras.layers.Layer):
    """Each pixel by itself through a matrix and batch norm; `rows` has the images of each call."""

    num_features = 5

    def __init__(self, name="encoder", **kwargs):
        super().__init__(name=name, **kwargs)
        self.matrix = keras.layers.Dense(self.num_features, use_bias=False, name="matrix")
        self.norm = FusedBatchNorm(name="norm")
        self.rows = []

    def build_from(self, height, width):
        del height, width
        self.build()

    def build(self, input_shape=None):
        self.matrix.build((None, 3))
        self.norm.build((None, self.num_features))
        self.built = True

    def call(self, images, training=False):
        pixels = tf.concat([images[modality] for modality in MODALITIES], axis=0)
        self.rows.append(pixels.shape[0])
        return self.norm(self.matrix(pixels), training=training)


def build(method, plan=None, **changes):
    """A compiled model, each trained weight at a value of its own."""
    options = options_type(method)(**SETTINGS[method].TINY | changes)
    model = PRETRAINING[method](PixelEncoder(), options, 2, plan or TrainingPlan(batch_size=IMAGES))
    model.build_from(HEIGHT, WIDTH)
    model.compile(optimizer=TorchSGD(0.5, weight_decay=0.0))
    model.optimizer.build(model.trained_variables)
    return model


def with_drawn_weights(model, seed=4):
    """The model, with gammas, betas and biases that show where they act."""
    dice = np.random.default_rng(seed)
    for variable in model.trained_variables:
        variable.assign(dice.uniform(0.2, 1.0, variable.shape) * dice.choice([-1, 1], variable.shape))
    return model


def batch(views=2, small=0, seed=0):
    """Noise: full-sized views, then smaller ones."""
    dice = np.random.default_rng(seed)
    return {
        modality if number == 1 else f"{modality}_{number}": tf.constant(
            dice.standard_normal((IMAGES, HEIGHT if number <= views else 1, WIDTH, 3)), tf.float32
        )
        for number in range(1, views + small + 1)
        for modality in MODALITIES
    }


def rows(width, *names, seed=0):
    """{name: float32 [2 * IMAGES, width]} of noise."""
    dice = np.random.default_rng(seed)
    return {name: dice.standard_normal((2 * IMAGES, width)).astype(np.float32) for name in names}


def unit(vectors):
    """Rows of length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


class Weights:
    """A model's weights for NumPy; `read` has the paths of those that were used."""

    def __init__(self, model):
        self._values = {variable.path: variable.numpy() for variable in model.variables}
        self.read = set()

    def __call__(self, path):
        self.read.add(path)
        return self._values[path]

    def linear(self, x, path, bias=True):
        x = x @ self(f"{path}/kernel")
        return x + self(f"{path}/bias") if bias else x

    def norm(self, x, path, affine=True):
        """Batch norm by the batch's statistics."""
        axes = tuple(range(x.ndim - 1))
        x = (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-5)
        return x * self(f"{path}/gamma") + self(f"{path}/beta") if affine else x

    def hidden(self, x, path, number, bias=True):
        """Linear, batch norm, ReLU."""
        x = self.linear(x, f"{path}/linear{number}", bias)
        return np.maximum(self.norm(x, f"{path}/norm{number}"), 0)
