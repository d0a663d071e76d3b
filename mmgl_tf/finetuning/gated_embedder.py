"""The NFS-style embedder: behind each stage of the shared trunk, gates of each modality."""

import tensorflow as tf

from mmgl_tf.backbones.pooled_encoder import Branch
from mmgl_tf.finetuning.embedder import Embedder
from mmgl_tf.layers.gates.modality_cells import ModalityCells
from mmgl_tf.layers.seeded_uniform import seed_of
from mmgl_tf.pipelines.records import MODALITIES

# The shared stages, each of which is searched.
SEARCHED = ("layer1", "layer2", "layer3", "layer4")


class GatedEmbedder(Embedder):
    """A two-stream embedder whose feature map goes through a `ModalityCells` behind each stage.

    With all gates open, as they are at the start, it is the plain `Embedder`.

    Args:
        encoder: `mmgl_tf.backbones.Encoder` with the stages `SEARCHED`.
        reduction, residual: of `SearchCell`.
        seed: seed of the initial values of neck and gates.
        **kwargs: name, dtype.
    """

    def __init__(self, encoder, reduction=16, residual=False, seed=0, **kwargs):
        super().__init__(encoder, seed=seed, **kwargs)
        for stage in SEARCHED:
            name = f"cell_{stage}"
            cells = ModalityCells(
                MODALITIES, reduction, residual, seed=seed, name=name, dtype=encoder.dtype_policy
            )
            setattr(self, name, cells)  # an attribute, so that the weights file has its name

    @property
    def cells(self):
        """{(stage name, number of the block they follow): `ModalityCells`}, in order."""
        depths = {stage.name: stage.depth for stage in self.encoder.stages}
        return {(stage, depths[stage] - 1): getattr(self, f"cell_{stage}") for stage in SEARCHED}

    def branches(self):
        """The encoder with its gates; see `PooledEncoder.branches`."""
        gates = {
            place: lambda x, counts, cells=cells: cells(x, counts=counts)[0]
            for place, cells in self.cells.items()
        }
        return [Branch(self.encoder, by_modality=gates)]

    def build_from(self, height, width):
        """Makes every weight, for images of a size in pixels.

        Raises:
            ValueError: a stage whose channels --nfs_reduction does not divide.
        """
        for stage in self.encoder.stages:
            reduction = getattr(self, f"cell_{stage.name}").reduction
            if reduction and stage.num_features % reduction:
                raise ValueError(
                    f"--nfs_reduction={reduction} does not divide the {stage.num_features} channels of "
                    f"{stage.name} of --backbone={self.encoder.backbone}; use a divisor, such as 16, or 0."
                )
            getattr(self, f"cell_{stage.name}").build((None, None, None, stage.num_features))
        super().build_from(height, width)

    def gated(self, images, training=False, temperature=1.0, seeds=None):
        """The trunk's output, and how much the gates let through.

        Args:
            images: as in `call`.
            training: True for batch statistics and noise.
            temperature: of the gates, see `binary_concrete`.
            seeds: int32 [B + B', 2], one for each image; needed in training.

        Returns:
            ([B + B', h, w, C]; float32 [B + B', 4, 2]: the shares of channels and of places that are open
            behind each stage).
        """
        counts = {name: tf.shape(images[name])[0] for name in MODALITIES if name in images}
        kept = []

        def behind(number, cells):
            own = None if seeds is None else seed_of(seeds, number)

            def act(x, training=False):
                x, shares = cells(x, counts=counts, temperature=temperature, training=training, seeds=own)
                kept.append(shares)
                return x

            return act

        acts = {place: behind(number, cells) for number, (place, cells) in enumerate(self.cells.items())}
        feature_map = self.encoder(images, training=training, after_block=acts)
        return feature_map, tf.stack(kept, axis=1)

    def feature_map(self, images, training=False):
        """See `PooledEncoder.feature_map`; for training there is `gated`, which noise needs."""
        return self.gated(images, training)[0]
