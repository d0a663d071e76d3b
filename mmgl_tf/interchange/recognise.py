"""Which network a checkpoint holds, told from the names and shapes of its tensors."""

import re
from dataclasses import dataclass

from mmgl_tf.backbones import BACKBONES
from mmgl_tf.interchange.plain_text import plain
from mmgl_tf.interchange.torch_names import TWO_STREAM, one_stem

ANCHOR = "layer1.0.conv1.weight"  # a tensor that every trunk has
# Heads of MMGL's pre-training (spec 0.3); a file with them is no fine-tuned network.
PRETRAINING_HEADS = ("fc1.", "fc2.", "local_conv_list")
SUPPORTED = (
    "torchvision's or timm's ResNet-18, -34 and -50, and the two-stream networks of AGW's and MMGL's code "
    "(visible_module..., thermal_module..., base_resnet...)"
)


@dataclass(frozen=True)
class Recognised:
    """What a checkpoint holds.

    Attributes:
        name: of the network, for people.
        backbone: key of `BACKBONES`.
        stems: 1 or 2.
        method: "agw" or "two_stream" for a fine-tuned network, "" for an encoder alone.
        non_local_width: inner channels of its non-local blocks; 0 without them.
        owners: where `torch_names.named_variables` finds the parts.
    """

    name: str
    backbone: str
    stems: int
    method: str
    non_local_width: int
    owners: dict


def recognise(shapes):
    """Tells the network.

    Args:
        shapes: {tensor name: shape as PyTorch has it}.

    Raises:
        ValueError: it is none of those that are known; says why.
    """
    if any(name.startswith(tuple(TWO_STREAM.values())) for name in shapes):
        return _two_stream(shapes)
    prefixes = sorted({name.removesuffix(ANCHOR) for name in shapes if name.endswith(ANCHOR)})
    if len(prefixes) != 1:
        found = (
            f"{len(prefixes)} ResNets, below {[plain(prefix) for prefix in prefixes[:3]]}"
            if prefixes
            else "no ResNet"
        )
        shown = [plain(name) for name in sorted(shapes)[:3]]
        raise ValueError(f"holds {found}, among {len(shapes)} tensors such as {shown}. Known are {SUPPORTED}")
    backbone = _backbone(shapes, prefixes[0], prefixes[0])
    name = f"a {backbone} with torchvision's names" + (f", below {plain(prefixes[0])}" if prefixes[0] else "")
    return Recognised(name, backbone, 1, "", 0, one_stem(prefixes[0]))


def _two_stream(shapes):
    backbone = _backbone(shapes, TWO_STREAM["trunk"], TWO_STREAM["stem_visible"])
    pretraining = any(name.startswith(PRETRAINING_HEADS) for name in shapes)
    non_local = [shape for name, shape in shapes.items() if re.fullmatch(r"NL_\d\.\d+\.theta\.weight", name)]
    if pretraining or "bottleneck.weight" not in shapes:
        return Recognised(f"a two-stream {backbone}, an encoder alone", backbone, 2, "", 0, TWO_STREAM)
    method, words = ("agw", "AGW") if non_local else ("two_stream", "the two-stream base")
    width = non_local[0][0] if non_local and non_local[0] else 0
    # A network of that width is built before shapes are compared; wider than its input is no bottleneck.
    if width and width > max(non_local[0][1:2], default=0):
        raise ValueError(
            f"holds non-local blocks whose theta has the shape {non_local[0]}, wider than its input"
        )
    return Recognised(f"{words}, fine-tuned, {backbone}", backbone, 2, method, width, TWO_STREAM)


def _backbone(shapes, trunk, stem):
    """The key of `BACKBONES` whose blocks and widths the tensors have."""
    found = _plan(shapes, trunk, stem)
    plans = {
        name: (plan.block, plan.depths, plan.widths, plan.stem_width) for name, plan in BACKBONES.items()
    }
    for name, plan in plans.items():
        if found == plan:
            return name
    block, depths, widths, width = found
    raise ValueError(
        f"holds a ResNet of {depths} {block} blocks of {widths} channels behind a stem of {width}; that is "
        f"none of {', '.join(plans)}. Known are {SUPPORTED}"
    )


def _plan(shapes, trunk, stem):
    pattern = re.compile(re.escape(trunk) + r"layer(\d{1,3})\.(\d{1,3})\.(conv\d)\.weight")
    blocks, kinds, widths = {}, set(), {}
    for name, shape in shapes.items():
        place = pattern.fullmatch(name)
        if place:
            stage, block = int(place[1]), int(place[2])
            blocks.setdefault(stage, set()).add(block)
            kinds.add(place[3])
            if place[3] == "conv1" and block == 0:
                widths[stage] = shape[0] if shape else 0
    depths = tuple(max(blocks[stage]) + 1 for stage in sorted(blocks))
    shape = shapes.get(f"{stem}conv1.weight", ())
    return (
        "bottleneck" if "conv3" in kinds else "basic",
        depths,
        tuple(widths.get(stage, 0) for stage in sorted(blocks)),
        shape[0] if shape else 0,
    )
