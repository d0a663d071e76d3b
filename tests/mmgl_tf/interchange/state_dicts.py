"""State dicts as PyTorch's networks have them, from the names alone."""

import numpy as np

from tests.mmgl_tf.interchange.torch_file import View
from tests.mmgl_tf.reference_weights import recipe

RESNET10 = {"block": "basic", "depths": (1, 1, 1, 1), "widths": (32, 64, 128, 256), "stem": (32, 5)}
RESNET18 = {"block": "basic", "depths": (2, 2, 2, 2), "widths": (64, 128, 256, 512), "stem": (64, 7)}
RESNET50 = {"block": "bottleneck", "depths": (3, 4, 6, 3), "widths": (64, 128, 256, 512), "stem": (64, 7)}
STRIDES = (1, 2, 2, 1)


def norm(name, channels):
    return {f"{name}.{leaf}": (channels,) for leaf in ("weight", "bias", "running_mean", "running_var")}


def resnet_shapes(plan, strides=STRIDES):
    """{name: shape} of a torchvision ResNet without its classifier, in torchvision's order."""
    width, kernel = plan["stem"]
    shapes = {"conv1.weight": (width, 3, kernel, kernel)} | norm("bn1", width)
    channels, expansion = width, 4 if plan["block"] == "bottleneck" else 1
    for stage, (depth, inner) in enumerate(zip(plan["depths"], plan["widths"], strict=True), 1):
        for block in range(depth):
            place = f"layer{stage}.{block}"
            outer = inner * expansion
            kernels = (1, 3, 1) if expansion == 4 else (3, 3)
            sizes = [channels, inner, inner, outer][: len(kernels) + 1]
            for i, size in enumerate(kernels):
                shapes[f"{place}.conv{i + 1}.weight"] = (sizes[i + 1], sizes[i], size, size)
                shapes |= norm(f"{place}.bn{i + 1}", sizes[i + 1])
            if block == 0 and (channels != outer or strides[stage - 1] != 1):
                shapes[f"{place}.downsample.0.weight"] = (outer, channels, 1, 1)
                shapes |= norm(f"{place}.downsample.1", outer)
            channels = outer
    return shapes


def features(plan):
    return plan["widths"][-1] * (4 if plan["block"] == "bottleneck" else 1)


def non_local_shapes(plan, inner=1):
    shapes = {}
    for stage, count in ((2, 2), (3, 3)):
        channels = plan["widths"][stage - 1] * features(plan) // plan["widths"][-1]
        for i in range(min(count, plan["depths"][stage - 1])):
            for name in ("theta", "phi", "g.0"):
                shapes[f"NL_{stage}.{i}.{name}.weight"] = (inner, channels, 1, 1)
                shapes[f"NL_{stage}.{i}.{name}.bias"] = (inner,)
            shapes[f"NL_{stage}.{i}.W.0.weight"] = (channels, inner, 1, 1)
            shapes[f"NL_{stage}.{i}.W.0.bias"] = (channels,)
            shapes |= norm(f"NL_{stage}.{i}.W.1", channels)
    return shapes


def by_recipe(shapes):
    return {name: recipe(name, shape).astype("float32") for name, shape in shapes.items()}


def torchvision(plan, classes=1000):
    """A torchvision ResNet's state dict, classifier and counters too."""
    tensors = by_recipe(resnet_shapes(plan))
    for name in [name for name in tensors if name.endswith("running_var")]:
        tensors[name.replace("running_var", "num_batches_tracked")] = np.array(7, np.int64)
    return tensors | {
        "fc.weight": np.zeros((classes, features(plan)), "f"),
        "fc.bias": np.zeros(classes, "f"),
    }


def two_stream(plan, method="two_stream", identities=395, copies=True, offset=True):
    """The state dict of the field's two-stream networks, values by the recipe.

    The copies that such a network never uses share one storage here, which keeps the file small.
    """
    trunk, stem = resnet_shapes(plan), ("conv1.", "bn1.")
    used = {
        f"{owner}{name}": shape
        for owner in ("visible_module.visible.", "thermal_module.thermal.")
        for name, shape in trunk.items()
        if name.startswith(stem)
    }
    used |= {f"base_resnet.base.{name}": s for name, s in trunk.items() if not name.startswith(stem)}
    if method == "agw":
        used |= non_local_shapes(plan)
    tensors = by_recipe(used | norm("bottleneck", features(plan)))
    if not offset:
        tensors["bottleneck.bias"][:] = 0
    tensors["classifier.weight"] = np.zeros((identities, features(plan)), "f")
    if copies:
        zeros = np.zeros(max(int(np.prod(shape)) for shape in trunk.values()), "f")
        for owner in ("visible_module.visible.", "thermal_module.thermal.", "base_resnet.base."):
            for name, shape in trunk.items():
                if f"{owner}{name}" not in tensors:
                    tensors[f"{owner}{name}"] = View(zeros, "unused", shape)
    return tensors
