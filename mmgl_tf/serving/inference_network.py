"""The network of an embedder for inference alone: batch norm folded, nothing that training needs."""

import numpy as np
import tensorflow as tf

from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.serving.folded_encoder import FoldedEncoder
from mmgl_tf.serving.folded_layers import affine

PRECISIONS = {"float32": tf.float32, "bfloat16": tf.bfloat16}


class InferenceNetwork:
    """What an embedder computes for one of its features, in half of the ops.

    Trunks and batch norms are copies; a method's own layers are used as they are, but for non-local blocks.

    Args:
        embedder: built `PooledEncoder`, e.g. a fine-tuning's `Embedder`, of any precision.
        feature: one of the embedder's `FEATURES`.
        precision: "float32" or "bfloat16", of the convolutions. What follows the feature map is float32 in
            either, and so are a method's own layers within the trunk.

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
        self.streams = embedder.encoder.stream
        self.branches = embedder.branches()
        # Branches that share an encoder share its copy.
        self.encoders = {}
        for branch in self.branches:
            if branch.encoder.name not in self.encoders:
                folded = FoldedEncoder(branch.encoder, branch.between, branch.by_modality, dtype)
                self.encoders[branch.encoder.name] = folded
        self._head, norm = embedder.head(feature)
        self.scale = self.shift = None
        norms = [] if norm is None else norm if isinstance(norm, list) else [norm]
        if norms:
            scale, shift = (np.concatenate(parts) for parts in zip(*map(affine, norms), strict=True))
            name = norms[0].name
            self.scale = tf.Variable(tf.cast(scale, tf.float32), trainable=False, name=f"{name}/scale")
            self.shift = tf.Variable(tf.cast(shift, tf.float32), trainable=False, name=f"{name}/shift")

    def __call__(self, images):
        """Embeddings.

        Args:
            images: {"visible": [B, H, W, 3], "infrared": [B', H, W, 3]}, normalised; either may be absent.
                Where both are there, either may have no row.

        Returns:
            float32 [B + B', num_features], unit length, visible images first. A feature that is exactly 0
            stays 0.
        """
        images = {name: images[name] for name in MODALITIES if name in images}
        maps = [self.encoders[branch.encoder.name](branch.seen(images)) for branch in self.branches]
        feature = self._head(maps[0] if len(maps) == 1 else tf.concat(maps, axis=-1))
        if self.scale is not None:
            feature = feature * self.scale + self.shift
        return tf.math.l2_normalize(feature, axis=1, epsilon=1e-24)

    def embed(self, images):
        """{feature: embeddings}, as an embedder's `embed` has it."""
        return {self.feature: self(images)}
