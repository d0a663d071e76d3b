"""DDAG's embedder: beside the usual features one that knows which parts of an image matter."""

from mmgl_tf.finetuning.embedder import Embedder
from mmgl_tf.layers.attention.part_aggregation import PartAggregation


class PartEmbedder(Embedder):
    """A two-stream embedder with intra-modality weighted-part aggregation (spec 4.4).

    Args:
        encoder: `mmgl_tf.backbones.Encoder`.
        parts: horizontal parts of the feature map.
        residual: "neck" or "pool": the feature that the parts are added to.
        seed: seed of the initial values of neck and parts.
        **kwargs: name, dtype.
    """

    FEATURES = ("attention", "neck", "pool")

    def __init__(self, encoder, parts=3, residual="neck", seed=0, **kwargs):
        super().__init__(encoder, seed=seed, **kwargs)
        self.parts = PartAggregation(parts, seed=seed, name="parts")
        self.residual = residual

    def build_from(self, height, width):
        """Makes every weight; see `Embedder.build_from`.

        Raises:
            ValueError: images with fewer rows of the feature map than parts.
        """
        rows = height // self.encoder.stride
        if rows < self.parts.parts:
            raise ValueError(
                f"--ddag_parts={self.parts.parts} at --image_height={height}: the feature map has {rows} "
                f"rows; use at most {rows} parts, or higher images."
            )
        self.parts.build((None, None, None, self.encoder.num_features))
        super().build_from(height, width)

    def call(self, images, training=False):
        """The aggregated feature, and those after and before the neck; see `PooledEncoder.call`."""
        feature_map = self.feature_map(images, training)
        pool = self.pool(feature_map)
        found = {"pool": pool, "neck": self.neck(pool, training=training)}
        attention = self.parts(feature_map, found[self.residual], training=training)
        return {"attention": attention} | found

    def head(self, feature):
        """The parts' own neck is folded, the global one acts before it; see `PooledEncoder.head`."""
        if feature == "attention":
            return self._before_parts_neck, self.parts.neck
        return super().head(feature)

    def _before_parts_neck(self, feature_map):
        feature = self.pool(feature_map)
        if self.residual == "neck":
            feature = self.neck(feature, training=False)
        return self.parts.before_neck(feature_map, feature)
