"""The head of the jigsaw network: which of K permutations put an image's tiles where they are.

Legend: B images, T tiles an image, C features a tile, K permutations.
"""

import keras
import tensorflow as tf

from mmgl_tf.layers.full_precision import full_precision
from mmgl_tf.layers.heads.projector import Projector
from mmgl_tf.layers.linear import Linear


@keras.saving.register_keras_serializable(package="mmgl_tf")
class TileHead(keras.layers.Layer):
    """Linear, batch norm and ReLU on every tile, then one linear layer on all tiles of an image side by side.

    Every tile goes through the same weights, and the batch norm takes its statistics from all tiles of the
    batch; which slot a tile is in tells its place in the concatenation alone (Noroozi and Favaro's
    context-free network, on a ResNet as in VISSL). Always float32.

    Args:
        num_permutations: K.
        num_tiles: T, 9 for 3x3, 4 for 2x2.
        width: of the layer on each tile.
        place: with `seed` it fixes the initial values; None for the layer's name.
        seed: integer of the network.
        **kwargs: name, trainable.
    """

    def __init__(self, num_permutations, num_tiles=9, width=1000, place=None, seed=0, **kwargs):
        kwargs["dtype"] = full_precision()
        super().__init__(**{"name": "tile_head", **kwargs})
        self.num_permutations, self.num_tiles, self.width = num_permutations, num_tiles, width
        self.place, self.seed = self.name if place is None else place, seed
        self.tile = Projector(
            (width,),
            final_norm="affine",
            final_relu=True,
            place=f"{self.place}/tile",
            seed=seed,
            name="tile",
        )
        self.classifier = Linear(
            num_permutations, place=f"{self.place}/classifier", seed=seed, name="classifier"
        )

    def build(self, input_shape):
        """Makes the weights for [B, T, C]."""
        if len(input_shape) != 3 or input_shape[1] != self.num_tiles or input_shape[2] is None:
            raise ValueError(
                f"TileHead for {self.num_tiles} tiles got features of shape {tuple(input_shape)}; expected "
                "[B, num_tiles, C]. Pool each tile's feature map, and put the tiles of an image side by side."
            )
        self.tile.build((None, input_shape[2]))
        self.classifier.build((None, self.num_tiles * self.width))
        self.built = True

    def call(self, features, training=False):
        """Classifies.

        Args:
            features: [B, T, C], the pooled features of each tile in slot order, any float type.
            training: True to use and record batch statistics.

        Returns:
            float32 [B, K], a score for each permutation.
        """
        tiles = self.tile(tf.reshape(features, [-1, features.shape[2]]), training=training)
        return self.classifier(tf.reshape(tiles, [-1, self.num_tiles * self.width]))

    def compute_output_shape(self, input_shape):
        """Shape of the output for one input shape."""
        return (input_shape[0], self.num_permutations)

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "num_permutations": self.num_permutations,
            "num_tiles": self.num_tiles,
            "width": self.width,
            "place": self.place,
            "seed": self.seed,
        }
