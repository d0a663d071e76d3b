"""Colorization: the colours of a visible image from its lightness (Zhang et al. 2016)."""

import math

import keras
import tensorflow as tf

from mmgl_tf.figures import HAS_NONE, Figure
from mmgl_tf.layers.full_precision import at_least_float32
from mmgl_tf.layers.heads.colour_head import ColourHead
from mmgl_tf.losses.colours.bins import annealed_mean
from mmgl_tf.losses.colours.classification import colour_rows, rebalanced_accuracy
from mmgl_tf.losses.colours.prior import best_constant
from mmgl_tf.pipelines.augmentation.operations.pad_crop_flip import PadCropFlip
from mmgl_tf.pipelines.batches.recipe import HeldOut, LabColour, Recipe, View
from mmgl_tf.pipelines.records import MODALITIES, VISIBLE
from mmgl_tf.pretraining.colour_survey import EVERY, GREY, MOST_IMAGES, colour_survey, unsurveyed_colours
from mmgl_tf.pretraining.pictures import colours as colour_pictures
from mmgl_tf.pretraining.unseen_stem import UnseenStemModel


class Colorization(UnseenStemModel):
    """Colorization as classification; `options` as in `mmgl_tf.flags.methods.colorization`.

    A batch is a dict: `visible` float32 [B, H, W, 3], the lightness on three channels; `ab` float32
    [B, H/4, W/4, 2], the colour of every fourth pixel. Infrared images have no colour, so none is shown; with
    --colorization_infrared=both the lightness of visible images goes through both stems.

    Bins and prior are those of the training images, or of a file: see `colour_survey`. They are variables, so
    that a checkpoint has them.
    """

    def __init__(self, encoder, options, seed, plan, name="colorization"):
        super().__init__(encoder, options, seed, plan, {"colour": 1.0}, name)
        colours = _colours(options, plan)
        self._surveyed = int(colours["images"])
        self.bins, self.prior, self.weights_of_bins = (
            keras.Variable(colours[what], trainable=False, autocast=False, name=f"colour_{what}")
            for what in ("bins", "prior", "weights")
        )
        self.colour_head = ColourHead(
            len(colours["bins"]), options.colorization_hidden_size, encoder.stride // EVERY, seed=seed
        )

    @staticmethod
    def figures(options, plan):
        """What flat scores cost; naming bins blindly finds 1 of Q."""
        colours = _colours(options, plan)
        count, weight = len(colours["bins"]), float(colours["mean_weight"])
        flat = weight * math.log(count)
        return (
            Figure("loss/colour", "colour, rare ones weighing more", flat, short="colour"),
            Figure("colour/cross_entropy", "colour, all weighing alike", math.log(count)),
            Figure(
                "accuracy/colour",
                "colour bins right, rebalanced",
                1 / count,
                "share",
                short="bins",
                held_out=True,
            ),
            Figure("colour/grey_images", "images without colour, not learnt from", HAS_NONE, "share"),
        )

    @staticmethod
    def recipe(options):
        """Lightness and colour of visible images, cropped and flipped; anything else would change colours."""
        chain = (PadCropFlip(options.pad_pixels, options.flip_probability, options.pad_value),)
        return Recipe((View("visible", VISIBLE, chain),), (LabColour(EVERY),))

    @staticmethod
    def held_out(options):
        """Every visible image as it is."""
        del options
        return HeldOut(Recipe((View("visible", VISIBLE),), (LabColour(EVERY),)))

    @staticmethod
    def survey(options, images):
        """See `colour_survey`."""
        return colour_survey(
            images("visible", MOST_IMAGES), options.colorization_bins, options.colorization_rebalance
        )

    @property
    def trained_stems(self):
        """See `UnseenStemModel`."""
        return MODALITIES if self.options.colorization_infrared == "both" else ("visible",)

    def build_from(self, height, width):
        """See `PretrainingModel`."""
        self.encoder.build_from(height, width)
        self.colour_head.build((None, None, None, self.encoder.num_features))
        self.built = True

    def notes(self):
        """Where the bins come from, and what the best of all constants would get."""
        options = self.options
        source = f"from {options.colorization_bins}" if options.colorization_bins else "of their own"
        best = best_constant(self.prior.numpy(), self.weights_of_bins.numpy())
        bins = f"{self.prior.shape[0]} bins {source}, prior of {self._surveyed:,} visible training images"
        told = f"naming always the same bin gets at most {best:.1%} rebalanced"
        both = [("", "the lightness of visible images goes through both stems")]
        shown = both if len(self.trained_stems) > 1 else []
        return [("colours", f"{bins}; {told}"), *super().notes(), *shown]

    def outputs(self, batch):
        """Loss and accuracy of each image, a number each: its scores stay on the replica."""
        images = dict.fromkeys(self.trained_stems, batch["visible"])
        ab = tf.concat([batch["ab"]] * len(images), axis=0)
        return self._rows(self.encoder(images, training=True), ab, training=True)

    def losses(self, outputs, seed):
        """The mean over images, grey ones included; the plain one is what the authors' code logs."""
        del seed  # nothing is drawn
        measures = {
            "accuracy/colour": rebalanced_accuracy(outputs["right"], outputs["weight"]),
            "colour/cross_entropy": tf.reduce_mean(outputs["plain"]),
            "colour/grey_images": tf.reduce_mean(outputs["grey"]),
        }
        return {"colour": tf.reduce_mean(outputs["weighted"])}, measures

    def validation_outputs(self, batch):
        """The same of held-out images, by way of the visible stem."""
        feature_map = self.encoder({"visible": batch["visible"]}, training=False)
        rows = self._rows(feature_map, batch["ab"], training=False)
        return {"right": rows["right"], "colours": rows["weight"], "weight": batch["weight"]}

    def validation_figures(self, outputs):
        """The weights of the mean over images make it the ratio of sums that `rebalanced_accuracy` is."""
        accuracy = tf.math.divide_no_nan(outputs["right"], outputs["colours"])
        weight = outputs["colours"] * tf.cast(outputs["weight"], outputs["colours"].dtype)
        return {"accuracy/colour_visible": (accuracy, weight)}

    def score_name(self):
        """See `PretrainingModel`."""
        return "accuracy/colour"

    def probed(self, batch):
        """Pooled features, and the colours predicted for the few images that pictures show."""
        feature_map = self.encoder({"visible": batch["visible"]}, training=False)
        shown = tf.gather(feature_map, colour_pictures.places(feature_map.shape[0]))
        return {
            "features": tf.reduce_mean(at_least_float32(feature_map), axis=[1, 2]),
            "ab": annealed_mean(self.colour_head(shown, training=False), self.bins),
        }

    def probe_pictures(self, found, batch, identities, source, scale):
        """True and predicted colours."""
        return colour_pictures.probe_pictures(found, batch, source, scale)

    def batch_pictures(self, batch, scale):
        """Lightness, and the colours asked for."""
        return colour_pictures.batch_pictures(batch, scale)

    def _rows(self, feature_map, ab, training):
        scores = self.colour_head(feature_map, training=training)
        neighbours = self.options.colorization_neighbours
        return colour_rows(scores, ab, self.bins, self.weights_of_bins, neighbours, grey=GREY)


def _colours(options, plan):
    return plan.survey or unsurveyed_colours(options.colorization_bins)
