"""An encoder and its pooled feature map: how a pre-trained encoder is evaluated, searched and exported."""

from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import tensorflow as tf

from mmgl_tf.layers.full_precision import at_least_float32
from mmgl_tf.pipelines.records import MODALITIES


@dataclass(frozen=True)
class Branch:
    """A way from images to a feature map; most embedders have one.

    Attributes:
        encoder: built `mmgl_tf.backbones.Encoder`; several branches may share it.
        between: {(stage name, number of the block it follows): layer}, layers of the method's own that the
            feature map goes through on its way, [B, h, w, C] -> the same shape and type.
        by_modality: {(stage name, number of the block it follows): function (feature map, {modality: number
            of its rows}) -> the same shape and type}, layers that tell modalities apart. Modalities are in
            the order of the rows. No place has both. Inference alone goes through these.
        rendering: function of normalised images, [B, H, W, 3] -> the same, that they are looked at by; None =
            as they are.
    """

    encoder: object
    between: dict = field(default_factory=dict)
    by_modality: dict = field(default_factory=dict)
    rendering: Callable | None = None

    def seen(self, images):
        """The images as this branch looks at them, {modality: [B, H, W, 3]} -> the same."""
        if self.rendering is None:
            return images
        return {name: self.rendering(value) for name, value in images.items()}

    def feature_map(self, images, training=False):
        """{modality: [B, H, W, 3]} -> the encoder's output [B + B', h, w, C], visible images first."""
        counts = {name: tf.shape(images[name])[0] for name in MODALITIES if name in images}
        acts = self.between | {place: _bound(act, counts) for place, act in self.by_modality.items()}
        return self.encoder(self.seen(images), training=training, after_block=acts)


def _bound(act, counts):
    return lambda x, training: act(x, counts)


class PooledEncoder(keras.layers.Layer):
    """Images -> the mean of the encoder's feature map, and the interface that every embedder has.

    Whatever evaluates, exports or embeds asks the embedder for its features by name and size; it knows none
    itself.

    Args:
        encoder: `mmgl_tf.backbones.Encoder`.
        **kwargs: name, dtype.

    Attributes:
        FEATURES: names of the features, in the order in which tables list them. The first is the one that
            picks the best weights, that is served, and that a paper's figures are compared with.
        START_FEATURE: the feature of `before_training` in which weights are compared that the method has not
            trained yet. It must pass through no layer that starts from random values, the encoder aside.

    Example:
        >>> embedder = PooledEncoder(Encoder("resnet50"))
        >>> embedder.build_from(288, 144)
        >>> embedder.embed({"visible": images})["pool"].shape    # 48 images
        TensorShape([48, 2048])
    """

    FEATURES = ("pool",)
    START_FEATURE = "pool"

    def __init__(self, encoder, **kwargs):
        super().__init__(**{"name": "embedder", **kwargs})
        self.encoder = encoder

    @property
    def feature_sizes(self):
        """{name: length of its vectors}, for each of `FEATURES` in their order."""
        return dict.fromkeys(self.FEATURES, self.encoder.num_features)

    @property
    def non_local(self):
        """{(stage name, number of the block it follows): `NonLocal`}: none here."""
        return {}

    def branches(self):
        """The ways from images to feature maps, a list of `Branch`; `head` reads their maps side by side."""
        return [Branch(self.encoder, self.non_local)]

    def starts(self):
        """What a start fills: [(encoder, stem)].

        The stem is the one that a one-stream encoder takes of a start with two, "visible" or "infrared"; "" =
        the user has to say (--stem_from), as neither is nearer to it.
        """
        return [(self.encoder, "")]

    def before_training(self):
        """The embedder by whose `START_FEATURE` weights are compared that the method has not trained yet."""
        return self

    def build_from(self, height, width):
        """Makes every weight, for images of a size in pixels."""
        self.encoder.build_from(height, width)
        self.built = True

    def feature_map(self, images, training=False):
        """The trunk's output [B, h, w, C] for a dict of images, visible images first.

        Of several branches side by side: C is then the sum of theirs.
        """
        maps = [branch.feature_map(images, training) for branch in self.branches()]
        return maps[0] if len(maps) == 1 else tf.concat(maps, axis=-1)

    def call(self, images, training=False):
        """Features.

        Args:
            images: {"visible": [B, H, W, 3], "infrared": [B', H, W, 3]}, normalised; either may be absent.
            training: batch norm uses batch statistics.

        Returns:
            {name: float32 [B + B', its size]} for each of `FEATURES`, un-normalised, visible images first.
        """
        return {"pool": self.pool(self.feature_map(images, training))}

    def pool(self, feature_map):
        """[B, h, w, C] -> float32 [B, C]."""
        return tf.reduce_mean(at_least_float32(feature_map), axis=[1, 2])

    def head(self, feature):
        """What makes a feature of the feature map, for inference.

        Args:
            feature: one of `FEATURES`.

        Returns:
            (function [B, h, w, C] -> float32 [B, size], batch norm of its output or None; a list of batch
            norms of its parts, one beside the other). The norm is given apart so that `mmgl_tf.serving` can
            fold it into a scale and a shift.
        """
        return {"pool": (self.pool, None)}[feature]

    def embed(self, images):
        """Unit-length embeddings, the form in which people are compared; keys and shapes as `call`.

        A feature that is exactly 0 stays 0.
        """
        return {name: tf.math.l2_normalize(f, axis=1, epsilon=1e-24) for name, f in self(images).items()}

    def save_weights(self, path):
        """Writes every weight to a file that ends in `.weights.h5`."""
        keras.saving.save_weights(self, path)

    def load_weights(self, path):
        """Reads every weight from a file of `save_weights`; a missing or misshapen one is a ValueError."""
        keras.saving.load_weights(self, path)
