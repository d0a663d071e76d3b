"""The encoder: a stem per modality, or one for both, and a shared trunk."""

import keras
import tensorflow as tf

from mmgl_tf.backbones.resnet import RESNET10, RESNET18, RESNET34, RESNET50
from mmgl_tf.pipelines.records import MODALITIES

# What --backbone selects. A new backbone is a plan with make_stem, make_stages, num_features and stride.
BACKBONES = {
    "resnet10": RESNET10,
    "resnet18": RESNET18,
    "resnet34": RESNET34,
    "resnet50": RESNET50,
}


@keras.saving.register_keras_serializable(package="mmgl_tf")
class Encoder(keras.layers.Layer):
    """Images of both modalities -> one feature map (MMGL section 3, "one-stream" and "two-stream").

    Two-stream: each modality has its own stem (first convolution, batch norm, ReLU, max pool), so its batch
    statistics are its own; the trunk and its batch statistics are shared by both. One-stream: the stem is
    shared too, and sees both modalities as one batch.

    Choice: both stems start from the same values (`stem_init="shared"`), so that at the start the two
    modalities differ by their images only; "independent" draws each its own.

    Variables have the paths "encoder/stem_visible/conv1/kernel", "encoder/layer1/0/bn1/gamma" and so on,
    torchvision's places, so a weights file reads like one.

    Args:
        backbone: key of `BACKBONES`.
        stream: "two" or "one".
        stem_init: "shared" or "independent"; without meaning for one stream.
        seed: integer; the initial weights are a pure function of it and of each kernel's place.
        zero_init_residual: True starts the gamma of each residual block's last batch norm at 0, so that the
            trunk begins as a shallow network (Goyal et al., 2017). SimSiam and Barlow Twins do.
        **kwargs: name, dtype (a policy such as "mixed_bfloat16"), trainable.

    Example:
        >>> encoder = Encoder("resnet50")
        >>> encoder.build_from(288, 144)
        >>> encoder({"visible": images, "infrared": others}).shape    # 48 and 48 images
        TensorShape([96, 18, 9, 2048])
    """

    def __init__(
        self,
        backbone="resnet50",
        stream="two",
        stem_init="shared",
        seed=0,
        zero_init_residual=False,
        **kwargs,
    ):
        super().__init__(**{"name": "encoder", **kwargs})
        _check_choice("backbone", backbone, tuple(BACKBONES))
        _check_choice("stream", stream, ("one", "two"))
        _check_choice("stem_init", stem_init, ("shared", "independent"))
        self.backbone, self.stream, self.stem_init, self.seed = backbone, stream, stem_init, seed
        self.zero_init_residual = zero_init_residual
        plan, dtype = BACKBONES[backbone], self.dtype_policy
        self.num_features = plan.num_features
        self.stride = plan.stride
        if stream == "two":
            places = {m: f"stem_{m}" if stem_init == "independent" else "stem" for m in MODALITIES}
            self.stem_visible = plan.make_stem("stem_visible", places["visible"], seed, dtype)
            self.stem_infrared = plan.make_stem("stem_infrared", places["infrared"], seed, dtype)
        else:
            self.stem = plan.make_stem("stem", "stem", seed, dtype)
        # Attributes rather than a list: in weights files a list's members go by their class names.
        for stage in plan.make_stages(seed, dtype, zero_init_residual):
            setattr(self, stage.name, stage)
        self.num_stages = len(plan.depths)

    @property
    def stages(self):
        """The shared trunk, "layer1" to the last, in order."""
        return [getattr(self, f"layer{i}") for i in range(1, self.num_stages + 1)]

    def stages_until(self, name=None):
        """The stages up to and with the one of a name.

        Args:
            name: such as "layer2"; None for the last.

        Raises:
            ValueError: no stage has that name.
        """
        names = [stage.name for stage in self.stages]
        if name is None:
            return self.stages
        if name not in names:
            raise ValueError(f"Encoder got until={name!r}; expected one of {', '.join(names)}, or None.")
        return self.stages[: names.index(name) + 1]

    @property
    def stems(self):
        """The stem of each modality, by name; the same layer twice for one stream."""
        if self.stream == "one":
            return dict.fromkeys(MODALITIES, self.stem)
        return {"visible": self.stem_visible, "infrared": self.stem_infrared}

    def build(self, input_shape=None):
        """Makes every weight, of both stems too, whatever the first batch brings."""
        images = (None, None, None, 3)
        for stem in dict.fromkeys(self.stems.values()):
            stem.build(images)
            channels = stem.width
        for stage in self.stages:
            stage.build((None, None, None, channels))
            channels = stage.num_features
        self.built = True

    def build_from(self, height, width):
        """Makes every weight for images of a size, and checks the size.

        Args:
            height: pixels, a multiple of `stride`.
            width: pixels, a multiple of `stride`.

        Returns:
            (h, w), rows and columns of the feature map.

        Raises:
            ValueError: a size that `stride` does not divide.
        """
        if height % self.stride or width % self.stride or min(height, width) < self.stride:
            raise ValueError(
                f"{self.backbone} got images of {height}x{width} pixels (height x width); expected "
                f"multiples of {self.stride}, because one cell of its feature map stands for {self.stride} "
                "pixels. Change --image_height or --image_width."
            )
        if not self.built:
            self.build()
        return height // self.stride, width // self.stride

    def save_weights(self, path):
        """Writes every weight to a file that ends in `.weights.h5`."""
        keras.saving.save_weights(self, path)

    def load_weights(self, path):
        """Reads every weight from a file of `save_weights`; a missing or misshapen one is a ValueError."""
        if not self.built:
            self.build()
        keras.saving.load_weights(self, path)

    def call(self, inputs, training=None, after_block=None, until=None):
        """Encodes.

        Args:
            inputs: {"visible": [B, H, W, 3], "infrared": [B', H, W, 3]}, normalised images; either may be
                absent.
            training: True uses and records batch statistics.
            after_block: {(stage name, block number): layer}, layers of the caller's that the feature map goes
                through after that block, such as AGW's non-local blocks. They are no part of the encoder.
            until: name of the stage whose output is wanted, such as "layer2"; None = the last. The weights
                beyond do nothing, and their batch norms record nothing.

        Returns:
            [B + B', H / stride, W / stride, num_features], compute dtype, visible images first; of another
            stage its own size and width, `stages_until(until)[-1].num_features`. Here H and W may be any:
            each layer with a stride rounds its output's size up.

        Raises:
            ValueError: no modality, or one of another name; or there is no such stage.
        """
        present = [m for m in MODALITIES if m in inputs]
        unknown = [key for key in inputs if key not in MODALITIES]
        if unknown or not present:
            raise ValueError(
                f"Encoder got inputs {sorted(inputs)}; expected a dict with 'visible', 'infrared' or both. "
                "Leave labels and permutations out of it."
            )
        images = [tf.cast(inputs[m], self.compute_dtype) for m in present]
        if self.stream == "one":
            x = self.stem(_join(images), training=training)
        else:
            stems = self.stems
            x = _join([stems[m](x, training=training) for m, x in zip(present, images, strict=True)])
        for stage in self.stages_until(until):
            between = {
                place: layer for (name, place), layer in (after_block or {}).items() if name == stage.name
            }
            x = stage(x, training=training, after_block=between)
        return x

    def compute_output_shape(self, input_shape):
        """Shape of the feature map for a dict of image shapes."""
        shapes = [input_shape[m] for m in MODALITIES if m in input_shape]
        batches = [shape[0] for shape in shapes]
        x = (None if None in batches else sum(batches), *shapes[0][1:])
        x = next(iter(self.stems.values())).compute_output_shape(x)
        for stage in self.stages:
            x = stage.compute_output_shape(x)
        return x

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "backbone": self.backbone,
            "stream": self.stream,
            "stem_init": self.stem_init,
            "seed": self.seed,
            "zero_init_residual": self.zero_init_residual,
        }


def _join(tensors):
    return tensors[0] if len(tensors) == 1 else tf.concat(tensors, axis=0)


def _check_choice(name, value, allowed):
    if value not in allowed:
        raise ValueError(f"Encoder got {name}={value!r}; expected one of {', '.join(allowed)}. Set --{name}.")
