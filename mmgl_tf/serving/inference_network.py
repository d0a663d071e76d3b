"""The network of an embedder for inference alone: batch norm folded, nothing that training needs."""

import numpy as np
import tensorflow as tf

from mmgl_tf.backbones import MODALITIES
from mmgl_tf.serving.folded_layers import FoldedBlock, FoldedNonLocal, FoldedStem, affine

PRECISIONS = {"float32": tf.float32, "bfloat16": tf.bfloat16}
FEATURES = ("neck", "pool")


class InferenceNetwork:
    """What an `Embedder` computes for one of its features, in half of the ops; its weights are copies.

    Args:
        embedder: built `mmgl_tf.finetuning.embedder.Embedder`, of any precision.
        feature: "neck" or "pool".
        precision: "float32" or "bfloat16", of the convolutions. Pooling, neck and length are float32
            in either.

    Raises:
        ValueError: a feature or precision of another name.

    Example:
        >>> network = InferenceNetwork(embedder, "neck")
        >>> network.embed({"visible": images})["neck"].shape    # 8 normalised images
        TensorShape([8, 2048])
    """

    def __init__(self, embedder, feature, precision="float32"):
        for what, value, known in (
            ("feature", feature, FEATURES),
            ("precision", precision, tuple(PRECISIONS)),
        ):
            if value not in known:
                raise ValueError(
                    f"InferenceNetwork got {what}={value!r}; expected one of {', '.join(known)}."
                )
        self.feature, self.precision = feature, precision
        self.num_features = embedder.num_features
        self.dtype = dtype = PRECISIONS[precision]
        encoder = embedder.encoder
        self.streams = encoder.stream
        stems = {stem.name: FoldedStem(stem, dtype, stem.name) for stem in encoder.stems.values()}
        self.stems = {modality: stems[stem.name] for modality, stem in encoder.stems.items()}
        self.trunk = []
        for stage in encoder.stages:
            for number, block in enumerate(stage.blocks):
                self.trunk.append(FoldedBlock(block, dtype, f"{stage.name}/{number}"))
                between = embedder.non_local.get((stage.name, number))
                if between is not None:
                    self.trunk.append(FoldedNonLocal(between, dtype, between.name))
        self._pool = embedder.pool  # without weights
        scale, shift = affine(embedder.neck)
        if feature == "pool":
            scale, shift = np.ones_like(scale), np.zeros_like(shift)
        self.scale = tf.Variable(tf.cast(scale, tf.float32), trainable=False, name="neck/scale")
        self.shift = tf.Variable(tf.cast(shift, tf.float32), trainable=False, name="neck/shift")

    def __call__(self, images):
        """Embeddings.

        Args:
            images: {"visible": [B, H, W, 3], "infrared": [B', H, W, 3]}, normalised; either may be absent.
                Where both are there, either may have no row.

        Returns:
            float32 [B + B', C], unit length, visible images first. A feature that is exactly 0 stays 0.
        """
        images = {name: tf.cast(images[name], self.dtype) for name in MODALITIES if name in images}
        if len(images) == 1:
            ((name, rows),) = images.items()
            x = self.stems[name](rows)
        else:
            x = tf.concat([self.stems[name].or_nothing(rows) for name, rows in images.items()], axis=0)
        for layer in self.trunk:
            x = layer(x)
        feature = self._pool(x)
        if self.feature == "neck":
            feature = feature * self.scale + self.shift
        return tf.math.l2_normalize(feature, axis=1, epsilon=1e-24)

    def embed(self, images):
        """{feature: embeddings}, as `Embedder.embed` has it."""
        return {self.feature: self(images)}
