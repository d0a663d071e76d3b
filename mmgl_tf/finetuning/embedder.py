"""From images to embeddings: trunk, pooling, batch-norm neck; what fine-tuning trains and serving exports."""

from mmgl_tf.backbones.pooled_encoder import PooledEncoder
from mmgl_tf.layers.gem_pooling import GeMPooling
from mmgl_tf.layers.heads.batch_norm_neck import BatchNormNeck
from mmgl_tf.layers.non_local import NonLocal


class Embedder(PooledEncoder):
    """An encoder, optional non-local blocks between its residual blocks, pooling and neck (spec 4.0, 4.3).

    A method with other features subclasses this and says so in `FEATURES`, `feature_sizes`, `call` and
    `head`.

    Args:
        encoder: `mmgl_tf.backbones.Encoder`.
        non_local_width: inner channels of the non-local blocks; 0 = none.
        gem_power: power of the generalised-mean pooling; 0 = plain average.
        seed: seed of the initial weights of everything but the encoder.
        **kwargs: name, dtype.

    Example:
        >>> embedder = Embedder(Encoder("resnet50"))
        >>> embedder.build_from(288, 144)
        >>> embedder.embed({"visible": images})["neck"].shape    # 48 images
        TensorShape([48, 2048])
    """

    FEATURES = ("neck", "pool")
    # AGW's places: after the last two blocks of the second stage and the last three of the third.
    NON_LOCAL = (("layer2", 2), ("layer3", 3))

    def __init__(self, encoder, non_local_width=0, gem_power=0.0, seed=0, **kwargs):
        super().__init__(encoder, **kwargs)
        self.pooling = GeMPooling(gem_power, name="pooling") if gem_power else None
        self.neck = BatchNormNeck(seed=seed, name="neck")
        self.places = []
        if non_local_width:
            depths = {stage.name: stage.depth for stage in encoder.stages}
            self.places = [
                (name, place)
                for name, count in self.NON_LOCAL
                for place in range(max(0, depths[name] - count), depths[name])
            ]
        for place in self.places:
            name = self._block_name(place)
            block = NonLocal(non_local_width, seed=seed, name=name, dtype=encoder.dtype_policy)
            setattr(self, name, block)  # an attribute, so that the weights file has its name

    @staticmethod
    def _block_name(place):
        return "non_local_{}_{}".format(*place)

    @property
    def non_local(self):
        """{(stage name, number of the block it follows): `NonLocal`}; empty without them."""
        return {tuple(place): getattr(self, self._block_name(place)) for place in self.places}

    def build_from(self, height, width):
        """Makes every weight, for images of a size in pixels."""
        self.encoder.build_from(height, width)
        for (stage, place), block in self.non_local.items():
            blocks = {s.name: s for s in self.encoder.stages}[stage].blocks
            block.build((None, None, None, blocks[place].width * blocks[place].expansion))
        if self.pooling:
            self.pooling.build((None, None, None, self.encoder.num_features))
        self.neck.build((None, self.encoder.num_features))
        self.built = True

    def call(self, images, training=False):
        """Features after and before the neck; see `PooledEncoder.call`."""
        pooled = self.pool(self.feature_map(images, training))
        return {"pool": pooled, "neck": self.neck(pooled, training=training)}

    def pool(self, feature_map):
        """[B, h, w, C] -> float32 [B, C]."""
        if self.pooling:
            return self.pooling(feature_map)
        return super().pool(feature_map)

    def head(self, feature):
        """Pooling, and the neck behind it; see `PooledEncoder.head`."""
        return {"neck": (self.pool, self.neck), "pool": (self.pool, None)}[feature]
