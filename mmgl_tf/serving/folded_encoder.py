"""An encoder for inference alone, with a method's own layers between its blocks."""

import tensorflow as tf

from mmgl_tf.layers.full_precision import at_least_float32
from mmgl_tf.layers.non_local import NonLocal
from mmgl_tf.serving.folded_layers import FoldedBlock, FoldedNonLocal, FoldedStem


class FoldedEncoder:
    """Stems and trunk with batch norm folded into the convolutions.

    Args:
        encoder: built `mmgl_tf.backbones.Encoder`.
        between, by_modality: layers between the blocks, see `mmgl_tf.backbones.pooled_encoder.Branch`.
        dtype: of the convolutions, float32 or bfloat16.
    """

    def __init__(self, encoder, between, by_modality, dtype):
        self.dtype = dtype
        stems = {
            stem.name: FoldedStem(stem, dtype, _name(encoder, stem.name)) for stem in encoder.stems.values()
        }
        self.stems = {modality: stems[stem.name] for modality, stem in encoder.stems.items()}
        self.trunk = []
        for stage in encoder.stages:
            for number, block in enumerate(stage.blocks):
                self.trunk.append(FoldedBlock(block, dtype, _name(encoder, f"{stage.name}/{number}")))
                layer = between.get((stage.name, number))
                if isinstance(layer, NonLocal):
                    self.trunk.append(FoldedNonLocal(layer, dtype, layer.name))
                elif layer is not None:
                    self.trunk.append(Unfolded(layer, dtype))
                if (stage.name, number) in by_modality:
                    self.trunk.append(ByModality(by_modality[stage.name, number]))

    def __call__(self, images):
        """{modality: [B, H, W, 3]} -> [B + B', h, w, C] of the type `dtype`, visible images first.

        Where both modalities are there, either may have no row.
        """
        images = {name: tf.cast(rows, self.dtype) for name, rows in images.items()}
        counts = {name: tf.shape(rows)[0] for name, rows in images.items()}
        if len(images) == 1:
            ((name, rows),) = images.items()
            x = self.stems[name](rows)
        else:
            x = tf.concat([self.stems[name].or_nothing(rows) for name, rows in images.items()], axis=0)
        for layer in self.trunk:
            x = layer(x, counts) if isinstance(layer, ByModality) else layer(x)
        return x


class Unfolded:
    """A method's own layer as it is: what it does hangs on the image, so that nothing can be folded.

    Args:
        layer: built, [B, h, w, C] -> the same shape.
        dtype: of what comes and goes; the layer computes in float32.
    """

    def __init__(self, layer, dtype):
        self.layer, self.dtype = layer, dtype

    def __call__(self, x):
        """[B, h, w, C] -> the same shape and type."""
        return tf.cast(self.layer(at_least_float32(x)), self.dtype)


class ByModality:
    """A method's own layer as it is, which has the number of rows of each modality beside the feature map."""

    def __init__(self, act):
        self._act = act

    def __call__(self, x, counts):
        """[B, h, w, C] -> the same shape and type."""
        return tf.ensure_shape(self._act(x, counts), x.shape)


def _name(encoder, part):
    """What a part's variables are called; those of the first encoder as if it were the only one."""
    return part if encoder.name == "encoder" else f"{encoder.name}/{part}"
