"""Fills networks from state dicts that are no files."""

import numpy as np

from mmgl_tf.interchange.fill import fill
from mmgl_tf.interchange.recognise import recognise
from mmgl_tf.interchange.stored_tensor import StoredTensor
from tests.mmgl_tf.interchange.torch_file import View
from tests.mmgl_tf.reference_weights import reference_key

TRUNKS = ("visible_module.visible.", "thermal_module.thermal.", "base_resnet.base.")


def stored(tensors):
    """What an open file gives; views are copies of no importance."""
    found = {}
    for name, value in tensors.items():
        if isinstance(value, View):
            value = np.zeros(value.shape, "f")
        found[name] = StoredTensor(value.shape, value.dtype.name, lambda value=value: value)
    return found


def filled(tensors, encoder, embedder=None):
    tensors = stored(tensors)
    return fill(recognise({name: t.shape for name, t in tensors.items()}), tensors, encoder, embedder)


def shapes_of(tensors):
    return {name: value.shape for name, value in tensors.items()}


def assert_holds(encoder, tensors, prefix):
    """Every variable of a one-stem encoder has the values of the tensor of its name below a prefix.

    By a table of names written for other tests.
    """
    for variable in encoder.variables:
        path = variable.path.replace(f"{encoder.name}/", "encoder/").replace("/stem/", "/stem_visible/")
        name = reference_key(path)
        for trunk in TRUNKS:
            name = name.removeprefix(trunk)
        value = tensors[f"{prefix}{name}"]
        value = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value
        np.testing.assert_array_equal(variable, value, err_msg=variable.path)


def behind_neck(x, tensors, prefix):
    """Batch norm with an offset by its moving statistics, float64 [B, C]."""
    weight, bias, mean, variance = (
        tensors[f"{prefix}{leaf}"].astype("f8") for leaf in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias
