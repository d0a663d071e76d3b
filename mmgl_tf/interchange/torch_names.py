"""Our variables by the names and in the layouts that PyTorch's networks have for them.

Two families of names:

- torchvision's and timm's: `conv1.weight`, `layer1.0.bn1.running_var`, `layer2.0.downsample.0.weight`.
- the field's two-stream networks (AGW, MMGL; spec 6.2): a stem's are below `visible_module.visible.` and
  `thermal_module.thermal.`, the trunk's below `base_resnet.base.`; non-local blocks are `NL_2.0.` and so
  on, counted within their stage, and the neck is `bottleneck.`.
"""

import numpy as np

TWO_STREAM = {
    "stem_visible": "visible_module.visible.",
    "stem_infrared": "thermal_module.thermal.",
    "trunk": "base_resnet.base.",
}
# A non-local block's g is a sequence of one convolution there, its W of a convolution and a batch norm.
LAYERS = {
    "downsample_conv": "downsample.0",
    "downsample_bn": "downsample.1",
    "g": "g.0",
    "project": "W.0",
    "norm": "W.1",
}
VARIABLES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def one_stem(prefix=""):
    """Where a network with torchvision's names has its parts; both of our stems are its only one."""
    return dict.fromkeys(("stem", "stem_visible", "stem_infrared", "trunk"), prefix)


def named_variables(encoder, owners, embedder=None):
    """Every variable with the name of its tensor.

    Args:
        encoder: built `mmgl_tf.backbones.Encoder`.
        owners: {"stem", "stem_visible", "stem_infrared", "trunk": what their names begin with}, `TWO_STREAM`
            or `one_stem(...)`.
        embedder: the built `Embedder` around it, for its neck and non-local blocks too; None for the encoder
            alone.

    Returns:
        list of (name, variable) in the variables' order; a name may come twice, for both stems.
    """
    pairs = [
        (_name(variable, "encoder", lambda first: _encoder_owner(first, owners)), variable)
        for variable in encoder.variables
    ]
    if embedder is not None:
        counts = {}
        for (stage, _), block in embedder.non_local.items():
            number = counts[stage] = counts.get(stage, -1) + 1
            place = f"NL_{stage.removeprefix('layer')}.{number}"
            pairs += [
                (_name(v, block.name, lambda first, p=place: f"{p}.{first}"), v) for v in block.variables
            ]
        pairs += [(f"bottleneck.{VARIABLES[v.name]}", v) for v in embedder.neck.variables]
    return pairs


def _encoder_owner(first, owners):
    if first.startswith("layer"):
        return f"{owners['trunk']}{first}"
    return owners[first].removesuffix(".")


def _name(variable, layer, owner):
    """The tensor's name for a variable below `layer`."""
    places = variable.path.split("/")
    places = places[places.index(layer) + 1 :]
    *inner, leaf = places
    first, *rest = [LAYERS.get(place, place) for place in inner]
    return ".".join([word for word in (owner(first), *rest, VARIABLES.get(leaf, leaf)) if word])


def from_torch(value, shape):
    """A tensor in our layout.

    Args:
        value: array as PyTorch has it: convolutions [out, in, rows, columns], dense layers [out, in].
        shape: of our variable: [rows, columns, in, out], or [in, out], of which a convolution of one pixel is
            one, too.

    Raises:
        ValueError: it does not fit.
    """
    require_shape(value.shape, shape)
    if len(shape) == 4:
        return np.ascontiguousarray(value.transpose(2, 3, 1, 0))
    return np.ascontiguousarray(value.reshape(torch_shape(shape)).T) if len(shape) == 2 else value


def require_shape(found, shape):
    """Raises a ValueError where `from_torch` does not take a tensor of shape `found` for our `shape`."""
    expected = torch_shape(shape)
    one_pixel = len(shape) == 2 and found == (*expected, 1, 1)
    if found != expected and not one_pixel:
        raise ValueError(f"has shape {found}; expected {expected}")


def torch_shape(shape):
    """The shape that a variable of ours has in PyTorch."""
    if len(shape) == 4:
        rows, columns, inputs, outputs = shape
        return (outputs, inputs, rows, columns)
    return tuple(shape[::-1])


def to_torch(variable):
    """A variable in PyTorch's layout, float32; dense layers become convolutions of one pixel."""
    value = np.asarray(variable, np.float32)
    if value.ndim == 4:
        value = value.transpose(3, 2, 0, 1)
    elif value.ndim == 2:
        value = value.T[:, :, None, None]
    return np.ascontiguousarray(value)
