"""VCD's network: three ResNets with channel attention, each with a neck (MutualInfo in MMGL's tables)."""

from dataclasses import dataclass
from typing import ClassVar

from mmgl_tf.interchange.networks.network import Network
from mmgl_tf.interchange.networks.residual_plan import backbone_of
from mmgl_tf.interchange.networks.torch_names import encoder_pairs, layer_pairs
from mmgl_tf.interchange.networks.torchvision import one_stem

# What the tensors of each encoder begin with, by our name of it.
ENCODERS = {"infrared": "IR_backbone.", "shared": "shared_backbone.", "visible": "RGB_backbone."}
BOTTLENECKS = ("IR_Bottleneck.", "shared_Bottleneck.", "RGB_Bottleneck.")
# Behind these stages stands attention, so in front of the second to the fourth.
ATTENDED = ("layer1", "layer2", "layer3")


@dataclass(frozen=True)
class VcdNetwork(Network):
    """A fine-tuned VCD. Its feature is that of the encoders: the bottlenecks are heads of training."""

    KNOWN: ClassVar = "VCD's, also called MutualInfo (IR_backbone..., RGB_backbone..., shared_backbone...)"
    METHODS: ClassVar = ("vcd",)

    @classmethod
    def recognise(cls, shapes):
        """See `Network.recognise`."""
        trunks = {whose: f"{prefix}base." for whose, prefix in ENCODERS.items()}
        if not any(name.startswith(tuple(trunks.values())) for name in shapes):
            return None
        backbones = {}
        for trunk in trunks.values():
            try:
                backbones[trunk] = backbone_of(shapes, trunk, trunk)
            except ValueError as error:
                raise ValueError(f"looks like VCD, but below {trunk} {error}") from error
        backbone = backbones[trunks["shared"]]
        if set(backbones.values()) != {backbone}:
            raise ValueError(f"holds three encoders that differ, {backbones}; expected one backbone for all")
        return cls(f"VCD (MutualInfo), fine-tuned, {backbone}", backbone, 1, "vcd")

    def pairs(self, encoder, embedder=None):
        """See `Network.pairs`; the attention goes by the number of its channels."""
        pairs = []
        for whose, prefix in ENCODERS.items():
            own = embedder.encoder_of(whose)
            pairs += encoder_pairs(own, one_stem(f"{prefix}base."))
            channels = {stage.name: stage.num_features for stage in own.stages}
            for stage in ATTENDED:
                gamma = getattr(embedder, f"attention_{whose}_{stage}").gamma
                pairs.append((f"{prefix}cam_{channels[stage]}._cam_module.gamma", gamma))
            pairs += layer_pairs(getattr(embedder, f"neck_{whose}"), f"{prefix}bottleneck.")
        return pairs

    def necks(self, embedder):
        """See `Network.necks`."""
        return {
            f"{prefix}bottleneck.": getattr(embedder, f"neck_{whose}") for whose, prefix in ENCODERS.items()
        }

    def kind(self, name):
        """Each ResNet has its classifier of ImageNet still, which nothing calls; see `Network.kind`."""
        if name.startswith(tuple(f"{prefix}base.fc." for prefix in ENCODERS.values())):
            return "unused layers"
        heads = (*BOTTLENECKS, *(f"{prefix}classifier." for prefix in ENCODERS.values()))
        return "heads" if name.startswith(heads) else "unknown"

    def notes(self):
        """See `Network.notes`."""
        return ("a fine-tuning starts from one of the three encoders, the one that looks at both modalities",)
