"""Our variables by the names and in the layouts that PyTorch's networks have for them."""

import numpy as np

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


def encoder_pairs(encoder, owners):
    """Every variable of an encoder with the name of its tensor.

    Args:
        encoder: built `mmgl_tf.backbones.Encoder`.
        owners: {"stem", "stem_visible", "stem_infrared", "trunk": what their tensors' names begin with}.

    Returns:
        list of (name, variable) in the variables' order; a name may come twice, for both stems.
    """
    return [
        (_name(v, encoder.name, lambda first: _encoder_owner(first, owners)), v) for v in encoder.variables
    ]


def layer_pairs(layer, prefix):
    """Every variable of a built layer with the name of its tensor: list of (name, variable).

    Args:
        layer: Keras layer.
        prefix: what the names begin with, such as "bottleneck.".
    """
    return [(_name(v, layer.name, lambda first: f"{prefix}{first}"), v) for v in layer.variables]


def _encoder_owner(first, owners):
    return f"{owners['trunk']}{first}" if first.startswith("layer") else owners[first].removesuffix(".")


def _name(variable, layer, owner):
    """The tensor's name for a variable below the layer of that name."""
    places = variable.path.split("/")
    *inner, leaf = places[places.index(layer) + 1 :]
    leaf = VARIABLES.get(leaf, leaf)
    if not inner:
        return owner(leaf)
    first, *rest = [LAYERS.get(place, place) for place in inner]
    return ".".join([word for word in (owner(first), *rest, leaf) if word])


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
