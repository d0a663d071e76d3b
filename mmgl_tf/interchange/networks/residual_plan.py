"""Which ResNet stands below a prefix, told from the names and shapes of its tensors."""

import re

from mmgl_tf.backbones import BACKBONES


def backbone_of(shapes, trunk, stem):
    """The key of `BACKBONES` whose blocks and widths the tensors have.

    Args:
        shapes: {tensor name: shape as PyTorch has it}.
        trunk: what the names of the four stages begin with.
        stem: what those of a stem begin with.

    Raises:
        ValueError: none has.
    """
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
        f"none of {', '.join(plans)}"
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
