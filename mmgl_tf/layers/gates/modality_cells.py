"""A search cell for each modality, behind a stage that both share (NFS-style).

Legend: B images, H W rows and columns of the feature map, C channels.
"""

import keras
import tensorflow as tf

from mmgl_tf.layers.gates.search_cell import SearchCell


@keras.saving.register_keras_serializable(package="mmgl_tf")
class ModalityCells(keras.layers.Layer):
    """A `SearchCell` for each modality; the rows of a modality go through its own.

    All start from the same values, so that at the start modalities differ by their images only.

    Args:
        modalities: their names, in the order of a batch's rows.
        reduction, residual: of `SearchCell`.
        place: with `seed` it fixes the initial values; None for the layer's name.
        seed: integer of the network.
        **kwargs: name, dtype, trainable.
    """

    def __init__(self, modalities, reduction=16, residual=False, place=None, seed=0, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.modalities = tuple(modalities)
        self.reduction, self.residual, self.seed = reduction, residual, seed
        self.place = self.name if place is None else place
        # Attributes rather than a list, so that weights files say "cell_layer1/visible".
        for modality in self.modalities:
            cell = SearchCell(reduction, residual, self.place, seed, name=modality, dtype=self.dtype_policy)
            setattr(self, modality, cell)

    def build(self, input_shape):
        """Makes every weight; only the channels are read."""
        for modality in self.modalities:
            getattr(self, modality).build(input_shape)
        self.built = True

    def call(self, inputs, counts, temperature=1.0, training=False, seeds=None):
        """Gates.

        Args:
            inputs: [B, H, W, C], any float type.
            counts: {modality: its number of rows, an integer or a scalar tensor}, in the order of the rows;
                modalities that are not there may be left out.
            temperature: of `binary_concrete`.
            training: True for noise.
            seeds: int32 [B, 2], one for each image; needed in training.

        Returns:
            (map of the shape and type of `inputs`; float32 [B, 2], see `SearchCell`).
        """
        maps, shares, first = [], [], 0
        for modality, number in counts.items():
            rows = slice(first, first + number)
            gated, kept = getattr(self, modality)(
                inputs[rows],
                temperature=temperature,
                training=training,
                seed=None if seeds is None else seeds[rows],
            )
            maps.append(gated)
            shares.append(kept)
            first = first + number
        return tf.concat(maps, axis=0), tf.concat(shares, axis=0)

    def compute_output_shape(self, input_shape):
        """Shapes of the map and of the shares."""
        return input_shape, (input_shape[0], 2)

    def get_config(self):
        """Constructor arguments, for saving."""
        return super().get_config() | {
            "modalities": self.modalities,
            "reduction": self.reduction,
            "residual": self.residual,
            "place": self.place,
            "seed": self.seed,
        }
