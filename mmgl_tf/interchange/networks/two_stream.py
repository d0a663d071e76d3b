"""The field's two-stream networks, as in AGW's, CAJ's and MMGL's code: the base, and AGW (spec 6.2).

A stem's tensors are below `visible_module.visible.` and `thermal_module.thermal.`, the trunk's below
`base_resnet.base.`; non-local blocks are `NL_2.0.` and so on, counted within their stage, and the neck is
`bottleneck.`.
"""

import re
from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.interchange.networks.network import Network
from mmgl_tf.interchange.networks.residual_plan import backbone_of
from mmgl_tf.interchange.networks.torch_names import encoder_pairs, layer_pairs
from mmgl_tf.interchange.networks.torchvision import acts_between_stages

TWO_STREAM = {
    "stem_visible": "visible_module.visible.",
    "stem_infrared": "thermal_module.thermal.",
    "trunk": "base_resnet.base.",
}
# Of each of the three ResNets a stem or the stages are used; the rest is there all the same.
_UNUSED = re.compile(r"(conv1|bn1|layer[1-4]|fc)\.")
# Heads of MMGL's pre-training (spec 0.3); a file with them is no fine-tuned network.
PRETRAINING_HEADS = ("fc1.", "fc2.", "local_conv_list")


def embedder_pairs(embedder):
    """The tensors of the non-local blocks and the neck of an `Embedder`: list of (name, variable)."""
    pairs, counts = [], {}
    for (stage, _), block in embedder.non_local.items():
        number = counts[stage] = counts.get(stage, -1) + 1
        pairs += layer_pairs(block, f"NL_{stage.removeprefix('layer')}.{number}.")
    return pairs + layer_pairs(embedder.neck, "bottleneck.")


@dataclass(frozen=True)
class TwoStreamNetwork(Network):
    """A fine-tuned two-stream network, or one that was pre-trained: then its encoder alone."""

    KNOWN: ClassVar = (
        "the two-stream networks of AGW's, CAJ's and MMGL's code (visible_module..., thermal_module..., "
        "base_resnet...)"
    )
    METHODS: ClassVar = ("two_stream", "agw", "caj")

    @property
    def methods(self):
        """CAJ trains AGW's network; see `Network.methods`."""
        return ("agw", "caj") if self.method == "agw" else super().methods

    @classmethod
    def recognise(cls, shapes):
        """See `Network.recognise`."""
        if not any(name.startswith(tuple(TWO_STREAM.values())) for name in shapes):
            return None
        backbone = backbone_of(shapes, TWO_STREAM["trunk"], TWO_STREAM["stem_visible"])
        pretraining = any(name.startswith(PRETRAINING_HEADS) for name in shapes)
        non_local = [s for name, s in shapes.items() if re.fullmatch(r"NL_\d\.\d+\.theta\.weight", name)]
        if pretraining or "bottleneck.weight" not in shapes:
            return cls(f"a two-stream {backbone}, an encoder alone", backbone, 2)
        method, words = ("agw", "AGW") if non_local else ("two_stream", "the two-stream base")
        width = non_local[0][0] if non_local and non_local[0] else 0
        # A network of that width is built before shapes are compared; wider than its input is no bottleneck.
        if width and width > max(non_local[0][1:2], default=0):
            raise ValueError(
                f"holds non-local blocks whose theta has the shape {non_local[0]}, wider than its input"
            )
        settings = {"non_local_width": width} if width else {}
        return cls(f"{words}, fine-tuned, {backbone}", backbone, 2, method, settings)

    def pairs(self, encoder, embedder=None):
        """See `Network.pairs`."""
        pairs = encoder_pairs(encoder, TWO_STREAM)
        return pairs if embedder is None else pairs + embedder_pairs(embedder)

    def necks(self, embedder):
        """See `Network.necks`."""
        return {"bottleneck.": embedder.neck}

    def kind(self, name):
        """Each of the three ResNets is whole there, and a stem or the stages of it are used."""
        for prefix in TWO_STREAM.values():
            if name.startswith(prefix) and _UNUSED.match(name.removeprefix(prefix)):
                return "unused copies"
        heads = ("classifier.", *PRETRAINING_HEADS)
        heads += () if self.method else ("bottleneck.",)
        return "heads" if name.startswith(heads) else "unknown"

    def is_foreign(self, name):
        """Whatever a fine-tuned network has, and trunk and stems; see `Network.is_foreign`."""
        inside = name.startswith(tuple(TWO_STREAM.values())) or acts_between_stages(name)
        return bool(self.method) or inside
