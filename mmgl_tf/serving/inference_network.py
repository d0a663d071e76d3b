"""The network of an embedder for inference alone: batch norm folded, nothing that training needs."""

import tensorflow as tf

from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.serving.folded_layers import FoldedBlock, FoldedNonLocal, FoldedStem, affine

PRECISIONS = {"float32": tf.float32, "bfloat16": tf.bfloat16}


class InferenceNetwork:
    """What an embedder computes for one of its features, in half of the ops.

    Trunk and batch norms are copies; a method's own layers behind the trunk, or between its blocks, are used
    as they are (`PooledEncoder.unfolded`).

    Args:
        embedder: built `PooledEncoder`, e.g. a fine-tuning's `Embedder`, of any precision.
        feature: one of the embedder's `FEATURES`.
        precision: "float32" or "bfloat16", of the convolutions. What follows the feature map is float32 in
            either.

    Raises:
        ValueError: a feature or precision of another name.

    Example:
        >>> network = InferenceNetwork(embedder, "neck")
        >>> network.embed({"visible": images})["neck"].shape    # 8 normalised images
        TensorShape([8, 2048])
    """

    def __init__(self, embedder, feature, precision="float32"):
        for what, value, known in (
            ("feature", feature, embedder.FEATURES),
            ("precision", precision, tuple(PRECISIONS)),
        ):
            if value not in known:
                raise ValueError(
                    f"InferenceNetwork got {what}={value!r}; expected one of {', '.join(known)}."
                )
        self.feature, self.precision = feature, precision
        self.num_features = embedder.feature_sizes[feature]
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
                if (stage.name, number) in embedder.unfolded:
                    self.trunk.append(_Unfolded(embedder.unfolded[stage.name, number]))
        self._head, norm = embedder.head(feature)
        self.scale = self.shift = None
        if norm is not None:
            scale, shift = affine(norm)
            self.scale = tf.Variable(tf.cast(scale, tf.float32), trainable=False, name=f"{norm.name}/scale")
            self.shift = tf.Variable(tf.cast(shift, tf.float32), trainable=False, name=f"{norm.name}/shift")

    def __call__(self, images):
        """Embeddings.

        Args:
            images: {"visible": [B, H, W, 3], "infrared": [B', H, W, 3]}, normalised; either may be absent.
                Where both are there, either may have no row.

        Returns:
            float32 [B + B', num_features], unit length, visible images first. A feature that is exactly 0
            stays 0.
        """
        images = {name: tf.cast(images[name], self.dtype) for name in MODALITIES if name in images}
        counts = {name: tf.shape(rows)[0] for name, rows in images.items()}
        if len(images) == 1:
            ((name, rows),) = images.items()
            x = self.stems[name](rows)
        else:
            x = tf.concat([self.stems[name].or_nothing(rows) for name, rows in images.items()], axis=0)
        for layer in self.trunk:
            x = layer(x, counts) if isinstance(layer, _Unfolded) else layer(x)
        feature = self._head(x)
        if self.scale is not None:
            feature = feature * self.scale + self.shift
        return tf.math.l2_normalize(feature, axis=1, epsilon=1e-24)

    def embed(self, images):
        """{feature: embeddings}, as an embedder's `embed` has it."""
        return {self.feature: self(images)}


class _Unfolded:
    """A method's own layer between two blocks; see `PooledEncoder.unfolded`."""

    def __init__(self, act):
        self._act = act

    def __call__(self, x, counts):
        """[B, h, w, C] -> the same shape and type."""
        return tf.ensure_shape(self._act(x, counts), x.shape)
