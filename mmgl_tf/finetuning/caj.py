"""CAJ: channel augmented joint learning, on AGW's network (Ye et al., 2021; spec 4.5)."""

import tensorflow as tf

from mmgl_tf.figures import HAS_NONE, Figure
from mmgl_tf.finetuning.agw import Agw
from mmgl_tf.finetuning.figures import triplet_figures
from mmgl_tf.losses.identification.squared_difference_triplet import squared_difference_triplet
from mmgl_tf.losses.identification.stream_divergence import stream_divergence
from mmgl_tf.pipelines.augmentation.operations.channel_exchange import ChannelExchange
from mmgl_tf.pipelines.augmentation.operations.channel_or_grey import ChannelOrGrey
from mmgl_tf.pipelines.augmentation.operations.erase import Erase
from mmgl_tf.pipelines.augmentation.operations.pad_crop_flip import PadCropFlip
from mmgl_tf.pipelines.batches.recipe import Labels, Recipe, each_modality

# Smallest and largest share of the area, and smallest height / width, of an erased box.
BOX = (0.02, 0.4, 0.3)
# The released code's colour of the box. It is the mean of CIFAR-10's images, but filled in as it stands once
# the image is normalised.
FILL = (0.4914, 0.4822, 0.4465)


class Caj(Agw):
    """AGW's network on three images a pair: the visible one, the same with exchanged channels, the infrared.

    The first two go through the visible stem, side by side. Cross-entropy, and a triplet loss among all
    three images of every pair.

    A batch is a dict: `visible`, `visible_2`, `infrared` float32 [B, H, W, 3] (normalised) and `labels` int32
    [2B], classes from 0, those of the visible images first.
    """

    def __init__(self, encoder, options, seed, plan, name="caj"):
        super().__init__(encoder, options, seed, plan, name)

    @staticmethod
    def figures(options, plan):
        """Those of the triplet methods; the streams' divergence, and how many anchors are clamped."""
        return (
            *triplet_figures(options, plan),
            Figure("loss/divergence", "divergence of the streams' identities", 0.0, short="divergence"),
            Figure("triplet/clamped", "anchors whose square is clamped", HAS_NONE, "share"),
        )

    @staticmethod
    def recipe(options):
        """Two views of a visible image and one of an infrared, each cropped, flipped and erased by itself.

        Erasing comes first, so that an erased box has one value after the channels were exchanged.
        """
        chain = (
            PadCropFlip(options.pad_pixels, options.flip_probability),
            Erase(options.caj_erase_probability, *BOX, fill=FILL),
        )
        visible = [chain, (*chain, ChannelExchange())]
        infrared = [(*chain, ChannelOrGrey(options.caj_grey_probability))]
        return Recipe(each_modality([visible, infrared]), (Labels(),))

    @staticmethod
    def terms(options):
        """{term of the loss: its weight}."""
        return Agw.terms(options) | {"divergence": options.caj_divergence_weight}

    def metric_loss(self, features, labels):
        """The enhanced squared difference, and how many anchors it clamps; see `TripletModel.metric_loss`."""
        o = self.options
        loss, right, clamped = squared_difference_triplet(
            features,
            labels,
            o.caj_alpha,
            o.caj_gamma,
            o.caj_square,
            o.triplet_form,
            o.caj_clamp or None,
        )
        return loss, {"accuracy/triplet": right, "triplet/clamped": clamped}

    def images_of(self, batch):
        """Both visible views go through the visible stem, the second behind the first."""
        visible = tf.concat([batch["visible"], batch["visible_2"]], axis=0)
        return {"visible": visible, "infrared": batch["infrared"]}

    def outputs(self, batch):
        """Pooled features, logits and classes: {"pool", "logits", "labels"} [2b, ...] of the first visible
        views and the infrared ones, {"pool_2", "logits_2"} [b, ...] of the second visible views."""
        found = self(self.images_of(batch), training=True)
        outputs = {"labels": batch["labels"]}
        for name in ("pool", "logits"):
            first, second, infrared = tf.split(found[name], 3)
            outputs |= {name: tf.concat([first, infrared], axis=0), f"{name}_2": second}
        return outputs

    def losses(self, outputs, seed):
        """Cross-entropy and triplet of all three images of each pair; the divergence of the first from the
        third, which is a constant there."""
        first, infrared = _halves(outputs["logits"])
        terms, measures = super().losses(
            {name: _three_views(outputs, name) for name in ("pool", "logits", "labels")}, seed
        )
        return terms | {"divergence": stream_divergence(first, infrared)}, measures


def _three_views(outputs, name):
    """[3B, ...]: visible, visible with exchanged channels, infrared."""
    visible, infrared = _halves(outputs[name])
    # Labels have no second view: both views of an image are of one person.
    return tf.concat([visible, outputs.get(f"{name}_2", visible), infrared], axis=0)


def _halves(value):
    """The visible and the infrared rows of [2B, ...]; slices, as a GPU splits no int32."""
    half = tf.shape(value)[0] // 2
    return value[:half], value[half:]
