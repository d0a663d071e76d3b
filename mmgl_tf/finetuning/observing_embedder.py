"""VCD's network at inference: four observations of an image by three encoders (Tian et al., 2021)."""

import zlib

import tensorflow as tf

from mmgl_tf.backbones.encoder import Encoder
from mmgl_tf.backbones.pooled_encoder import Branch, PooledEncoder
from mmgl_tf.layers.attention.channel_attention import ChannelSelfAttention
from mmgl_tf.layers.grey_image import grey_image
from mmgl_tf.layers.heads.batch_norm_neck import BatchNormNeck

# Whose encoder looks at which rendering, in the order of the released feature: i, i_ms, v, v_ms there. The
# shared one sees grey first, which decides the order in which its moving statistics move.
OBSERVATIONS = {
    "infrared": ("infrared", grey_image),
    "shared_grey": ("shared", grey_image),
    "visible": ("visible", None),
    "shared": ("shared", None),
}
ENCODERS = ("infrared", "shared", "visible")
# Channel attention stands behind these stages, so in front of the second to the fourth.
ATTENDED = ("layer1", "layer2", "layer3")


class ObservingEmbedder(PooledEncoder):
    """Three encoders with channel attention, each with a neck; the shared one looks twice.

    Every image, of either modality, is seen by all: the visible and the shared encoder see it as it is, the
    infrared and the shared one its grey rendering. Features are the four necks' outputs side by side, "neck",
    4 C values, 8,192 at ResNet-50; and what went in, "pool".

    Args:
        encoder: `mmgl_tf.backbones.Encoder` with one stream: the shared one. The other two are made like it.
        seed: seed of the initial weights of everything but that encoder.
        **kwargs: name, dtype.
    """

    FEATURES = ("neck", "pool")

    def __init__(self, encoder, seed=0, **kwargs):
        super().__init__(encoder, **kwargs)
        for name in ("encoder_infrared", "encoder_visible"):
            # Random weights of each encoder are drawn for themselves.
            drawn = zlib.crc32(f"{encoder.seed}/{name}".encode()) & 0x7FFFFFFF
            made = Encoder(encoder.backbone, "one", seed=drawn, name=name, dtype=encoder.dtype_policy)
            setattr(self, name, made)
        for whose in ENCODERS:
            for stage in ATTENDED:
                name = f"attention_{whose}_{stage}"
                setattr(self, name, ChannelSelfAttention(name=name, dtype=encoder.dtype_policy))
            setattr(self, f"neck_{whose}", BatchNormNeck(seed=seed, deviation=0.0, name=f"neck_{whose}"))

    def encoder_of(self, whose):
        """The encoder of one of `ENCODERS`."""
        return self.encoder if whose == "shared" else getattr(self, f"encoder_{whose}")

    @property
    def feature_sizes(self):
        """{name: length of its vectors}, see `PooledEncoder`."""
        return dict.fromkeys(self.FEATURES, len(OBSERVATIONS) * self.encoder.num_features)

    def branches(self):
        """One for each of `OBSERVATIONS`; see `PooledEncoder.branches`."""
        last = {stage.name: stage.depth - 1 for stage in self.encoder.stages}
        attention = {
            whose: {(s, last[s]): getattr(self, f"attention_{whose}_{s}") for s in ATTENDED}
            for whose in ENCODERS
        }
        return [
            Branch(self.encoder_of(whose), attention[whose], rendering=rendering)
            for whose, rendering in OBSERVATIONS.values()
        ]

    def starts(self):
        """All three start from one file, each from its own stem if that has two; see `PooledEncoder`."""
        return [
            (self.encoder, ""),
            (self.encoder_visible, "visible"),
            (self.encoder_infrared, "infrared"),
        ]

    def build_from(self, height, width):
        """Makes every weight, for images of a size in pixels."""
        channels = {}
        for whose in ENCODERS:
            self.encoder_of(whose).build_from(height, width)
            channels = {stage.name: stage.num_features for stage in self.encoder_of(whose).stages}
            for stage in ATTENDED:
                getattr(self, f"attention_{whose}_{stage}").build((None, None, None, channels[stage]))
            getattr(self, f"neck_{whose}").build((None, self.encoder.num_features))
        self.built = True

    def call(self, images, training=False):
        """Features after and before the necks; see `PooledEncoder.call`."""
        found = self.observe(images, training)
        return {name: tf.concat([each[name] for each in found.values()], axis=1) for name in self.FEATURES}

    def observe(self, images, training=False):
        """Each observation by itself: {key of `OBSERVATIONS`: {"pool", "neck" float32 [n, C]}}.

        Maps are pooled one after the other, so that no two are held side by side.
        """
        found = {}
        for (name, (whose, _)), branch in zip(OBSERVATIONS.items(), self.branches(), strict=True):
            pooled = self.pool(branch.feature_map(images, training))
            neck = getattr(self, f"neck_{whose}")
            found[name] = {"pool": pooled, "neck": neck(pooled, training=training)}
        return found

    def head(self, feature):
        """Pooling of the maps side by side, and the necks behind it; see `PooledEncoder.head`."""
        necks = [getattr(self, f"neck_{whose}") for whose, _ in OBSERVATIONS.values()]
        return {"neck": (self.pool, necks), "pool": (self.pool, None)}[feature]
