"""Weights of the golden numbers: they follow from the name a tensor has in the reference's state dict."""

import zlib

import numpy as np

OWNERS = {
    "stem_visible": "visible_module.visible",
    "stem_infrared": "thermal_module.thermal",
    "neck": "bottleneck",
    "classifier": "classifier",
}
# A non-local block's g is a sequence of one convolution there, its W of a convolution and a batch norm.
PLACES = {
    "downsample_conv": "downsample.0",
    "downsample_bn": "downsample.1",
    "g": "g.0",
    "project": "W.0",
    "norm": "W.1",
}
LEAVES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
# Our place: (stage, block that the non-local block follows); the reference counts per stage.
FIRST_NON_LOCAL = {"layer2": 2, "layer3": 3}


def reference_key(path):
    """Name that the variable of a path such as "encoder/layer1/0/bn1/gamma" has in the reference."""
    first, *places, leaf = path.removeprefix("encoder/").split("/")
    if first.startswith("non_local_"):
        stage, block = first.removeprefix("non_local_").split("_")
        first = f"NL_{stage[-1]}.{int(block) - FIRST_NON_LOCAL[stage]}"
    elif first.startswith("layer"):
        first = f"base_resnet.base.{first}"
    else:
        first = OWNERS[first]
    return ".".join([first, *(PLACES.get(place, place) for place in places), LEAVES.get(leaf, leaf)])


def recipe(key, shape):
    """Values of a tensor of the reference, a function of its name alone; `shape` as PyTorch has it."""
    random = np.random.RandomState(zlib.crc32(key.encode()))
    if key.endswith("running_var"):
        return 1 + 0.1 * random.rand(*shape)
    if key.endswith("running_mean"):
        return 0.05 * random.randn(*shape)
    if len(shape) == 1:
        return 1 + 0.05 * random.randn(*shape) if key.endswith("weight") else 0.02 * random.randn(*shape)
    return random.randn(*shape) * np.sqrt(1 / np.prod(shape[1:]))


def assign_by_recipe(variables, key_of=reference_key):
    """Fills variables with the reference's values, from PyTorch's layouts to ours."""
    for variable in variables:
        key, shape = key_of(variable.path), tuple(variable.shape)
        if len(shape) == 4:
            rows, columns, inputs, outputs = shape
            value = recipe(key, (outputs, inputs, rows, columns)).transpose(2, 3, 1, 0)
        elif len(shape) == 2:  # a linear layer, or a 1x1 convolution, whose further axes of 1 change nothing
            value = recipe(key, shape[::-1]).T
        else:
            value = recipe(key, shape)
        variable.assign(value)
