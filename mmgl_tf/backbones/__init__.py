"""Backbones: image encoders for one modality or two."""

from mmgl_tf.backbones.encoder import BACKBONES, Encoder

__all__ = ["BACKBONES", "Encoder"]
