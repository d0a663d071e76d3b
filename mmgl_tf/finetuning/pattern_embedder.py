"""MPANet's network at inference: a trunk that drops the image's style, patterns, neck (Wu et al., 2021)."""

from mmgl_tf.backbones.pooled_encoder import Branch, PooledEncoder
from mmgl_tf.layers.attention.modality_alleviation import ModalityAlleviation
from mmgl_tf.layers.heads.batch_norm_neck import BatchNormNeck
from mmgl_tf.layers.heads.pattern_head import PatternHead

# Stages that a modality alleviation module follows, by the value of --mpanet_alleviation.
ALLEVIATED = {"both": ("layer3", "layer4"), "last": ("layer4",), "none": ()}


class PatternEmbedder(PooledEncoder):
    """An encoder with modality alleviation behind its last stages, the pattern head, and a neck over it.

    Features are "neck" and, before it, "pool": the map's mean under each of P masks and its plain mean,
    (P + 1) C values, 14,336 at ResNet-50 and six patterns. There is no flip at test time.

    Args:
        encoder: `mmgl_tf.backbones.Encoder` with one stream.
        patterns: P, number of masks.
        alleviation: key of `ALLEVIATED`.
        seed: seed of the initial weights of everything but the encoder.
        **kwargs: name, dtype.
    """

    FEATURES = ("neck", "pool")

    def __init__(self, encoder, patterns=6, alleviation="both", seed=0, **kwargs):
        super().__init__(encoder, **kwargs)
        self.alleviated = ALLEVIATED[alleviation]
        for stage in self.alleviated:
            name = f"alleviation_{stage}"
            setattr(self, name, ModalityAlleviation(seed=seed, name=name, dtype=encoder.dtype_policy))
        self.patterns = PatternHead(patterns, seed=seed, name="patterns")
        self.neck = BatchNormNeck(seed=seed, deviation=0.0, name="neck")

    @property
    def feature_sizes(self):
        """{name: length of its vectors}, see `PooledEncoder`."""
        return dict.fromkeys(self.FEATURES, (self.patterns.patterns + 1) * self.encoder.num_features)

    def branches(self):
        """The encoder with its modules; see `PooledEncoder.branches`."""
        depths = {stage.name: stage.depth for stage in self.encoder.stages}
        between = {
            (stage, depths[stage] - 1): getattr(self, f"alleviation_{stage}") for stage in self.alleviated
        }
        return [Branch(self.encoder, between)]

    def before_training(self):
        """The encoder alone: patterns and alleviation start from random values."""
        plain = PooledEncoder(self.encoder)
        plain.built = True
        return plain

    def build_from(self, height, width):
        """Makes every weight, for images of a size in pixels."""
        self.encoder.build_from(height, width)
        channels = {stage.name: stage.num_features for stage in self.encoder.stages}
        for stage in self.alleviated:
            getattr(self, f"alleviation_{stage}").build((None, None, None, channels[stage]))
        self.patterns.build((None, None, None, self.encoder.num_features))
        self.neck.build((None, self.feature_sizes["neck"]))
        self.built = True

    def call(self, images, training=False):
        """Features after and before the neck; see `PooledEncoder.call`."""
        found = self.with_masks(images, training)
        return {name: found[name] for name in self.FEATURES}

    def with_masks(self, images, training=False):
        """The features, and the masks behind them: {"pool", "neck", "masks" float32 [n, h, w, P]}."""
        pooled, masks = self.patterns(self.feature_map(images, training))
        return {"pool": pooled, "neck": self.neck(pooled, training=training), "masks": masks}

    def pool(self, feature_map):
        """[B, h, w, C] -> float32 [B, (P + 1) C]."""
        return self.patterns(feature_map)[0]

    def head(self, feature):
        """Pooling under the masks, and the neck behind it; see `PooledEncoder.head`."""
        return {"neck": (self.pool, self.neck), "pool": (self.pool, None)}[feature]
