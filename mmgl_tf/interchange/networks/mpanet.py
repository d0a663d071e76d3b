"""MPANet's network: a ResNet below `backbone.` with attention behind its last stages, patterns, a neck."""

import re
from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.interchange.networks.network import Network
from mmgl_tf.interchange.networks.residual_plan import backbone_of
from mmgl_tf.interchange.networks.torch_names import encoder_pairs, layer_pairs
from mmgl_tf.interchange.networks.torchvision import ANCHOR, one_stem

TRUNK, MASKS = "backbone.", "spatial_attention.weight"
ALLEVIATION = re.compile(r"backbone\.(MAM\d+)\.")
# --mpanet_alleviation by the modules that are there.
ALLEVIATIONS = {("MAM3", "MAM4"): "both", ("MAM4",): "last", (): "none"}
# A number of patterns makes weights, so a file cannot ask for any; --mpanet_patterns has the same bounds.
PATTERNS = (2, 64)
# The classifiers' slowly following copies end in "_"; centres are those of a loss that is usually off.
HEADS = re.compile(r"(classifier|visible_classifier_?|infrared_classifier_?|center_loss)\.")


@dataclass(frozen=True)
class MpaNetwork(Network):
    """A fine-tuned MPANet with patterns.

    Its attention sits inside the trunk, so the ResNet alone is no part of it.
    """

    KNOWN: ClassVar = "MPANet's (spatial_attention..., backbone...)"
    METHODS: ClassVar = ("mpanet",)

    @classmethod
    def recognise(cls, shapes):
        """See `Network.recognise`."""
        if MASKS not in shapes or f"{TRUNK}{ANCHOR}" not in shapes:
            return None
        backbone = backbone_of(shapes, TRUNK, TRUNK)
        patterns, (low, high) = shapes[MASKS][0] if shapes[MASKS] else 0, PATTERNS
        if not low <= patterns <= high:
            raise ValueError(
                f"holds {MASKS} of the shape {shapes[MASKS]}; expected a mask for each of {low} to {high} "
                "patterns"
            )
        modules = tuple(sorted({found[1] for name in shapes if (found := ALLEVIATION.match(name))}))
        if modules not in ALLEVIATIONS:
            raise ValueError(
                f"holds the attention modules {', '.join(modules[:4])}; expected MAM3 and MAM4, MAM4, or none"
            )
        settings = {"mpanet_patterns": patterns, "mpanet_alleviation": ALLEVIATIONS[modules]}
        rows = [shapes[name] for name in ("classifier.weight", "visible_classifier.weight") if name in shapes]
        identities = rows[0][0] if rows and rows[0] else 0
        return cls(f"MPANet, fine-tuned, {backbone}", backbone, 1, "mpanet", settings, identities)

    def pairs(self, encoder, embedder=None):
        """See `Network.pairs`."""
        pairs = encoder_pairs(encoder, one_stem(TRUNK))
        for stage in embedder.alleviated:
            module = getattr(embedder, f"alleviation_{stage}")
            place = f"{TRUNK}MAM{stage.removeprefix('layer')}.channel_attention"
            pairs += [(f"{place}.0.weight", module.squeeze), (f"{place}.2.weight", module.excite)]
        pairs += layer_pairs(embedder.patterns.masks, "spatial_attention.")
        return pairs + layer_pairs(embedder.neck, "bn_neck.")

    def necks(self, embedder):
        """See `Network.necks`."""
        return {"bn_neck.": embedder.neck}

    def kind(self, name):
        """See `Network.kind`."""
        return "heads" if HEADS.match(name) else "unknown"
