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


def zeros(**shapes):
    """Heads of training, whose values nobody reads; "__" stands for a dot."""
    return {name.replace("__", "."): np.zeros(shape, "f") for name, shape in shapes.items()}


def ddag(plan, identities=395, parts=3, copies=True):
    """DDAG's state dict: the two-stream base, parts, heads of the graph."""
    width = features(plan)
    shapes = {}
    for name in ("fc1.0", "fc2", "fc3"):
        shapes |= {f"wpa.{name}.weight": (width, width, 1, 1), f"wpa.{name}.bias": (width,)}
    tensors = two_stream(plan, identities=identities, copies=copies)
    tensors |= by_recipe(shapes | norm("wpa.bottleneck", width) | {"wpa.gate": (parts,)})
    unused = {"wpa.W.0.weight": (width, width, 1, 1), "wpa.W.0.bias": (width,)} | norm("wpa.W.1", width)
    tensors |= {name: np.zeros(shape, "f") for name, shape in unused.items()}
    for i in range(4):
        tensors |= zeros(**{f"attention_{i}__W": (width, 8), f"attention_{i}__a": (16, 1)})
    tensors |= zeros(out_att__W=(32, identities), out_att__a=(2 * identities, 1))
    return tensors | zeros(classifier1__weight=(identities, width), classifier2__weight=(identities, width))


def mpanet_shapes(plan, patterns=6, modules=("MAM3", "MAM4")):
    """{name: shape} of what MPANet's network needs at test time."""
    shapes = {f"backbone.{name}": shape for name, shape in resnet_shapes(plan).items()}
    for module in modules:
        channels = plan["widths"][int(module[-1]) - 1] * features(plan) // plan["widths"][-1]
        place = f"backbone.{module}.channel_attention"
        shapes[f"{place}.0.weight"] = (channels // 16, channels, 1, 1)
        shapes[f"{place}.2.weight"] = (channels, channels // 16, 1, 1)
    width = features(plan)
    shapes |= {"spatial_attention.weight": (patterns, width, 1, 1), "spatial_attention.bias": (patterns,)}
    return shapes | norm("bn_neck", (patterns + 1) * width)


def mpanet(plan, identities=395, **options):
    """MPANet's state dict, its classifiers and their slow copies too."""
    tensors = by_recipe(mpanet_shapes(plan, **options))
    shape = (identities, tensors["bn_neck.weight"].size)
    owners = ("", "visible_", "infrared_")
    heads = [f"{owner}classifier.weight" for owner in owners]
    heads += [f"{owner}classifier_.weight" for owner in owners[1:]]
    return tensors | {name: np.zeros(shape, "f") for name in heads}


def vcd_shapes(plan, prefix):
    """{name: shape} of what one of VCD's encoders needs at test time."""
    shapes = {f"{prefix}base.{name}": shape for name, shape in resnet_shapes(plan).items()}
    for width in plan["widths"][:3]:
        channels = width * features(plan) // plan["widths"][-1]
        shapes[f"{prefix}cam_{channels}._cam_module.gamma"] = (1,)
    return shapes | norm(f"{prefix}bottleneck", features(plan))


def vcd(plan, identities=395):
    """VCD's state dict, with its dead classifiers of ImageNet and its bottlenecks."""
    tensors, width = {}, features(plan)
    for owner in ("IR", "RGB", "shared"):
        prefix = f"{owner}_backbone."
        tensors |= by_recipe(vcd_shapes(plan, prefix))
        for name in [name for name in tensors if name.startswith(prefix) and name.endswith("gamma")]:
            tensors[name] = np.abs(10 * tensors[name]) + 0.1  # enough to be seen
        heads = {
            f"{prefix}base.fc.weight": (1000, width),
            f"{prefix}base.fc.bias": (1000,),
            f"{prefix}classifier.0.weight": (identities, width),
            f"{prefix}classifier.0.bias": (identities,),
            f"{owner}_Bottleneck.bottleneck.bottleneck.0.weight": (8, width),
            f"{owner}_Bottleneck.classifier.4.weight": (identities, 8),
        }
        tensors |= {name: np.zeros(shape, "f") for name, shape in heads.items()}
    return tensors
