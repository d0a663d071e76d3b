"""ResNets with torchvision's and timm's names: `conv1.weight`, `layer2.0.downsample.0.weight`."""

import re
from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.interchange.networks.network import Network
from mmgl_tf.interchange.networks.residual_plan import backbone_of
from mmgl_tf.interchange.networks.torch_names import encoder_pairs
from mmgl_tf.interchange.plain_text import plain

ANCHOR = "layer1.0.conv1.weight"  # a tensor that every trunk has
# What may stand behind a trunk without a prefix of its own, and is of no use here.
BEHIND = re.compile(
    r"(head|heads|fc\d*|\w*classifier\d*|project(or|ion)\w*|predict(or|ion)\w*|mlp|prototypes|queue\w*)(\.|$)"
)
# Attention acts between the stages of a trunk, wherever a file keeps its tensors.
_BETWEEN_STAGES = re.compile(
    r"(mam\d*|_?cam(_\w+)?|att|\w*att(n|ention)\w*|nl_\d+|non_?local\w*|se\d?|cbam)", re.I
)


def acts_between_stages(name):
    """Whether a part of a tensor's name is one of attention: without it the trunk is another function."""
    return any(_BETWEEN_STAGES.fullmatch(part) for part in name.split("."))


def one_stem(prefix=""):
    """Where a network with torchvision's names has its parts; both of our stems are its only one."""
    return dict.fromkeys(("stem", "stem_visible", "stem_infrared", "trunk"), prefix)


@dataclass(frozen=True)
class TorchvisionNetwork(Network):
    """A ResNet, an encoder alone.

    Attributes:
        prefix: what its names begin with, such as "encoder_q.".
    """

    KNOWN: ClassVar = "torchvision's or timm's ResNet-18, -34 and -50"

    prefix: str = ""

    @classmethod
    def recognise(cls, shapes):
        """Never None: what this family does not know is unknown; see `Network.recognise`."""
        prefixes = sorted({name.removesuffix(ANCHOR) for name in shapes if name.endswith(ANCHOR)})
        if len(prefixes) != 1:
            found = (
                f"{len(prefixes)} ResNets, below {[plain(prefix) for prefix in prefixes[:3]]}"
                if prefixes
                else "no ResNet"
            )
            shown = [plain(name) for name in sorted(shapes)[:3]]
            raise ValueError(f"holds {found}, among {len(shapes)} tensors such as {shown}")
        prefix = prefixes[0]
        backbone = backbone_of(shapes, prefix, prefix)
        name = f"a {backbone} with torchvision's names" + (f", below {plain(prefix)}" if prefix else "")
        return cls(name, backbone, 1, prefix=prefix)

    def pairs(self, encoder, embedder=None):
        """The encoder's; see `Network.pairs`."""
        del embedder
        return encoder_pairs(encoder, one_stem(self.prefix))

    def kind(self, name):
        """Its classifier is of no use here; see `Network.kind`."""
        return "heads" if name.startswith((f"{self.prefix}fc.", "fc.")) else "unknown"

    def is_foreign(self, name):
        """Whether it is the trunk's.

        Below a prefix of its own everything is, such as attention between its stages: without it the rest
        would be another network, although every tensor of a plain ResNet is there. Without a prefix it is
        what is no known head.
        """
        if acts_between_stages(name):
            return True
        return name.startswith(self.prefix) if self.prefix else not BEHIND.match(name)
