"""DDAG's network: the two-stream base, and weighted parts below `wpa.` (spec 4.4)."""

import re
from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.interchange.networks.residual_plan import backbone_of
from mmgl_tf.interchange.networks.torch_names import layer_pairs
from mmgl_tf.interchange.networks.two_stream import TWO_STREAM, TwoStreamNetwork

MARK = "wpa.gate"
# The released code's names of the convolutions that `PartAggregation` calls by what they do.
CONVOLUTIONS = {"query": "wpa.fc1.0.", "key": "wpa.fc2.", "value": "wpa.fc3."}
# A number of parts makes weights, so a file cannot ask for any; no feature map here has as many rows.
MOST_PARTS = 64
# The graph acts in training alone; two of the three classifiers not even there.
HEADS = re.compile(r"(classifier[12]?|attention_\d+|out_att)\.")


@dataclass(frozen=True)
class DdagNetwork(TwoStreamNetwork):
    """A fine-tuned DDAG. Without its parts every tensor of the two-stream base is there."""

    KNOWN: ClassVar = "DDAG's (wpa...)"
    METHODS: ClassVar = ("ddag",)

    @classmethod
    def recognise(cls, shapes):
        """See `Network.recognise`."""
        if MARK not in shapes:
            return None
        backbone = backbone_of(shapes, TWO_STREAM["trunk"], TWO_STREAM["stem_visible"])
        gate = shapes[MARK]
        if len(gate) != 1 or not 1 <= gate[0] <= MOST_PARTS:
            raise ValueError(
                f"holds {MARK} of the shape {gate}; expected one number for each horizontal part, at most "
                f"{MOST_PARTS}"
            )
        return cls(f"DDAG, fine-tuned, {backbone}", backbone, 2, "ddag", {"ddag_parts": gate[0]})

    def pairs(self, encoder, embedder=None):
        """See `Network.pairs`."""
        parts = embedder.parts
        pairs = super().pairs(encoder, embedder)
        for layer, prefix in CONVOLUTIONS.items():
            pairs += layer_pairs(getattr(parts, layer), prefix)
        return [*pairs, (MARK, parts.gate), *layer_pairs(parts.neck, "wpa.bottleneck.")]

    def necks(self, embedder):
        """See `Network.necks`."""
        return super().necks(embedder) | {"wpa.bottleneck.": embedder.parts.neck}

    def kind(self, name):
        """The parts have a convolution and a batch norm that nothing calls; see `Network.kind`."""
        if name.startswith("wpa.W."):
            return "unused layers"
        return "heads" if HEADS.match(name) else super().kind(name)
