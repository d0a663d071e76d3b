"""ResNet plans: which blocks, how many and how wide. The last stage keeps its resolution (stride 1).

Person re-identification keeps the last feature map large: 288x144 images give 18x9 cells, so six stripes are
three rows each (MMGL section 3; the same trunk as its baselines).
"""

import dataclasses

from mmgl_tf.backbones.blocks import BasicBlock, BottleneckBlock, Stage, Stem


@dataclasses.dataclass(frozen=True)
class ResNet:
    """The plan of one residual network; makes its layers.

    Attributes:
        block: "basic" (two 3x3) or "bottleneck" (1x1, 3x3, 1x1).
        depths: blocks of each stage.
        widths: channels inside the blocks of each stage.
        strides: step of each stage's first block, pixels.
        stem_width: channels of the stem.
        stem_kernel_size: of the stem's convolution, pixels.
    """

    block: str
    depths: tuple
    widths: tuple = (64, 128, 256, 512)
    strides: tuple = (1, 2, 2, 1)
    stem_width: int = 64
    stem_kernel_size: int = 7

    @property
    def expansion(self):
        """Output channels of a block over its width."""
        return {"basic": BasicBlock, "bottleneck": BottleneckBlock}[self.block].expansion

    @property
    def num_features(self):
        """Channels of the last feature map."""
        return self.widths[-1] * self.expansion

    @property
    def stride(self):
        """Pixels of the image per cell of the last feature map."""
        total = 4
        for step in self.strides:
            total *= step
        return total

    def make_stem(self, name, place, seed, dtype):
        """A new stem; stems of the same `place` and `seed` start from the same values."""
        return Stem(self.stem_width, self.stem_kernel_size, place=place, seed=seed, name=name, dtype=dtype)

    def make_stages(self, seed, dtype, zero_init_residual=False):
        """New stages "layer1" to "layer4" in order; see `BasicBlock` for `zero_init_residual`."""
        stages, channels = [], self.stem_width
        for i, (depth, width, step) in enumerate(zip(self.depths, self.widths, self.strides, strict=True), 1):
            project = step != 1 or channels != width * self.expansion
            stages.append(
                Stage(
                    self.block,
                    depth,
                    width,
                    step,
                    project,
                    seed=seed,
                    zero_init_residual=zero_init_residual,
                    name=f"layer{i}",
                    dtype=dtype,
                )
            )
            channels = width * self.expansion
        return stages


RESNET50 = ResNet("bottleneck", (3, 4, 6, 3))
RESNET34 = ResNet("basic", (3, 4, 6, 3))
RESNET18 = ResNet("basic", (2, 2, 2, 2))
# The built-in world's network: 1.23 M parameters, minutes on a laptop; 96x48 images give 6x3 cells.
RESNET10 = ResNet("basic", (1, 1, 1, 1), widths=(32, 64, 128, 256), stem_width=32, stem_kernel_size=5)
