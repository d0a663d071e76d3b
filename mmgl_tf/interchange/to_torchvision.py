"""Writes networks for PyTorch: a .safetensors file with torchvision's names, or with the reference's."""

import numpy as np
from safetensors.numpy import save

from mmgl_tf.interchange.networks.torch_names import encoder_pairs, to_torch
from mmgl_tf.interchange.networks.torchvision import one_stem
from mmgl_tf.interchange.networks.two_stream import TWO_STREAM
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.run_directory import atomic_file

STEMS = (*MODALITIES, "mean", "both")


def torchvision_tensors(encoder, stem):
    """An encoder as a torchvision ResNet without its classifier.

    Args:
        encoder: built `Encoder`.
        stem: "visible", "infrared", or "mean" of both, tensor by tensor; without meaning for one stem.

    Returns:
        {name: float32 array in PyTorch's layout}.
    """
    chosen = MODALITIES if stem == "mean" else (stem,)
    stems = [f"stem_{modality}" for modality in chosen] if encoder.stream == "two" else ["stem"]
    owners = {"trunk": ""} | {name: name for name in ("stem", "stem_visible", "stem_infrared")}
    every = {name: to_torch(variable) for name, variable in encoder_pairs(encoder, owners)}
    names = [name for name, _ in encoder_pairs(encoder, one_stem())]
    tensors = {}
    for name in dict.fromkeys(names):
        sources = [name] if name in every else [f"{owner}.{name}" for owner in stems]
        tensors[name] = np.mean([every[source] for source in sources], axis=0, dtype=np.float32)
    return tensors


def network_tensors(network, embedder):
    """A fine-tuned network with the names of its reference, without what that never uses.

    Args:
        network: `mmgl_tf.interchange.networks.network.Network`.
        embedder: built embedder of its method.

    Returns:
        {name: float32 array in PyTorch's layout}; a neck's offset, which ours has not, is 0.
    """
    tensors = {name: to_torch(variable) for name, variable in network.pairs(embedder.encoder, embedder)}
    for prefix in network.necks(embedder):
        tensors[f"{prefix}bias"] = np.zeros_like(tensors[f"{prefix}weight"])
    return tensors


def write_torchvision(encoder, path, stem, about=None):
    """Writes an encoder as .safetensors.

    Choice: a torchvision network has one stem, so the stem of a two-stream encoder is chosen; "both" keeps
    the two in one file with the names of the field's two-stream networks, from which --mode=import makes the
    same weights again, bit by bit.

    Args:
        encoder: built `Encoder`.
        path: ends in .safetensors.
        stem: "visible", "infrared", "mean" or "both"; a one-stream encoder has one and takes any but "both".
        about: {text: text} for the file's header.

    Returns:
        number of tensors written.

    Raises:
        ValueError: an unknown stem, or "both" of a one-stream encoder.
    """
    if stem not in STEMS or (stem == "both" and encoder.stream == "one"):
        expected = STEMS if encoder.stream == "two" else STEMS[:-1]
        raise ValueError(
            f"--safetensors={stem}: a {encoder.stream}-stream encoder takes one of {', '.join(expected)}"
        )
    if stem == "both":
        tensors = {name: to_torch(variable) for name, variable in encoder_pairs(encoder, TWO_STREAM)}
    else:
        tensors = torchvision_tensors(encoder, stem)
    return _write(encoder, path, tensors, stem if encoder.stream == "two" else "shared", about)


def write_network(network, embedder, path, about=None):
    """Writes a fine-tuned network as .safetensors, see `network_tensors`.

    --mode=import makes the same weights again, bit by bit.

    Args:
        network: `mmgl_tf.interchange.networks.network.Network`.
        embedder: built embedder of its method.
        path: ends in .safetensors.
        about: {text: text} for the file's header.

    Returns:
        number of tensors written.
    """
    encoder = embedder.encoder
    stem = "both" if encoder.stream == "two" else "shared"
    return _write(encoder, path, network_tensors(network, embedder), stem, about)


def _write(encoder, path, tensors, stem, about):
    facts = {
        "format": "pt",
        "architecture": encoder.backbone,
        "stem": stem,
        "layer4_stride": str(encoder.stages[-1].strides),
    }
    with atomic_file(path) as file:
        file.write(save(tensors, metadata=facts | (about or {})))
    return len(tensors)
