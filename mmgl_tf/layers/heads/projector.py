"""The projectors and predictors of the self-supervised methods: small MLPs on pooled features.

Legend: B images, C features.
"""

import keras
import tensorflow as tf

from mmgl_tf.layers.full_precision import full_precision
from mmgl_tf.layers.linear import Linear
from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm

NORMS = (None, "affine", "plain")


@keras.saving.register_keras_serializable(package="mmgl_tf")
class Projector(keras.layers.Layer):
    """Linear layers, with batch norm and ReLU after each but the last; always float32.

    The heads of the methods, on 2048 features:

        SimCLR        Projector((2048, 128), norm=None)
        SwAV          Projector((2048, 128))
        BYOL          Projector((4096, 256)), the predictor alike
        SimSiam       Projector((2048, 2048, 2048), biases=(False, False, "frozen"), final_norm="plain"),
                      the predictor Projector((512, 2048), biases=(False, True))
        Barlow Twins  Projector((2048, 2048, 2048), biases=False), 8192 wide in its paper
        jigsaw        Projector((1000,), final_norm="affine", final_relu=True), on each tile

    Linear layers start as PyTorch's do, see `Linear`; batch norms with gamma 1 and beta 0, epsilon 1e-5,
    momentum 0.9. Variables have the paths "projector/linear1/kernel", "projector/norm1/gamma" and so on.

    Args:
        widths: outputs of each linear layer; at least one.
        biases: of `mmgl_tf.layers.linear.BIASES`, one for all linear layers or one for each.
        norm: what stands between each linear layer but the last and its ReLU: "affine" (a batch norm),
            "plain" (a batch norm without scale and offset) or None.
        final_norm: the same, behind the last linear layer.
        final_relu: True for a ReLU at the very end.
        place: with `seed` it fixes the initial values; None for the layer's name.
        seed: integer of the network.
        **kwargs: name, trainable.
    """

    def __init__(
        self,
        widths,
        biases=True,
        norm="affine",
        final_norm=None,
        final_relu=False,
        place=None,
        seed=0,
        **kwargs,
    ):
        kwargs["dtype"] = full_precision()
        super().__init__(**{"name": "projector", **kwargs})
        self.widths = tuple(widths)
        count = len(self.widths)
        self.biases = (biases,) * count if isinstance(biases, (bool, str)) else tuple(biases)
        if not count or len(self.biases) != count:
            raise ValueError(
                f"Projector {self.name!r} got widths {self.widths} and biases {self.biases}; expected at "
                "least one width, and one bias for all or as many as widths."
            )
        for what, value in (("norm", norm), ("final_norm", final_norm)):
            if value not in NORMS:
                raise ValueError(
                    f"Projector {self.name!r} got {what}={value!r}; expected None, 'affine' or 'plain'."
                )
        self.norm, self.final_norm, self.final_relu = norm, final_norm, final_relu
        self.place, self.seed = self.name if place is None else place, seed
        norms = [norm] * (count - 1) + [final_norm]
        # Attributes rather than lists, so that weights files say "projector/linear1".
        for i, (width, bias, kind) in enumerate(zip(self.widths, self.biases, norms, strict=True), 1):
            name = f"linear{i}"
            setattr(self, name, Linear(width, bias, f"{self.place}/{name}", seed, name=name))
            if kind:
                norm_layer = FusedBatchNorm(affine=kind == "affine", name=f"norm{i}", dtype=full_precision())
                setattr(self, f"norm{i}", norm_layer)

    @property
    def linears(self):
        """The linear layers in order."""
        return [getattr(self, f"linear{i}") for i in range(1, len(self.widths) + 1)]

    @property
    def norms(self):
        """What stands behind each linear layer, a batch norm or None."""
        return [getattr(self, f"norm{i}", None) for i in range(1, len(self.widths) + 1)]

    def build(self, input_shape):
        """Makes every weight; only the channels of `input_shape` are read."""
        channels = input_shape[-1]
        for linear, norm in zip(self.linears, self.norms, strict=True):
            linear.build((None, channels))
            channels = linear.units
            if norm is not None:
                norm.build((None, channels))
        self.built = True

    def call(self, features, training=False):
        """Projects.

        Args:
            features: [B, C], any float type; Keras casts it to the layer's float32.
            training: True to use and record batch statistics.

        Returns:
            float32 [B, last width], not normalised to unit length.
        """
        x, norm = self.before_last_norm(features, training), self.norms[-1]
        if norm is not None:
            x = norm(x, training=training)
        return tf.nn.relu(x) if self.final_relu else x

    def before_last_norm(self, features, training=False):
        """What the last linear layer puts out, without what stands behind it; see `call`."""
        x = tf.cast(features, self.compute_dtype)
        for linear, norm in zip(self.linears[:-1], self.norms[:-1], strict=True):
            x = linear(x)
            if norm is not None:
                x = norm(x, training=training)
            x = tf.nn.relu(x)
        return self.linears[-1](x)

    def compute_output_shape(self, input_shape):
        """Shape of the output for one input shape."""
        return (*input_shape[:-1], self.widths[-1])

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "widths": self.widths,
            "biases": self.biases,
            "norm": self.norm,
            "final_norm": self.final_norm,
            "final_relu": self.final_relu,
            "place": self.place,
            "seed": self.seed,
        }
