"""Writes an encoder for PyTorch: a .safetensors file with torchvision's names, or with the field's."""

import numpy as np
from safetensors.numpy import save

from mmgl_tf.interchange.networks.torch_names import encoder_pairs, to_torch
from mmgl_tf.interchange.networks.torchvision import one_stem
from mmgl_tf.interchange.networks.two_stream import TWO_STREAM, embedder_pairs
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


def two_stream_tensors(encoder, embedder=None):
    """A two-stream network with the names of AGW's and MMGL's code, without the copies that it never uses.

    Args:
        encoder: built two-stream `Encoder`.
        embedder: the `Embedder` around it, for neck and non-local blocks too; None for the encoder alone.

    Returns:
        {name: float32 array in PyTorch's layout}.
    """
    pairs = encoder_pairs(encoder, TWO_STREAM) + (embedder_pairs(embedder) if embedder is not None else [])
    tensors = {name: to_torch(variable) for name, variable in pairs}
    if embedder is not None:
        tensors["bottleneck.bias"] = np.zeros_like(tensors["bottleneck.weight"])
    return tensors


def write_torchvision(encoder, path, stem, embedder=None, about=None):
    """Writes an encoder as .safetensors.

    Choice: a torchvision network has one stem, so the stem of a two-stream encoder is chosen; "both" keeps
    the two in one file with the names of the field's two-stream networks, from which --mode=import makes the
    same weights again, bit by bit.

    Args:
        encoder: built `Encoder`.
        path: ends in .safetensors.
        stem: "visible", "infrared", "mean" or "both"; a one-stream encoder has one and takes any but "both".
        embedder: with "both", the fine-tuned `Embedder` around it, or None.
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
    tensors = two_stream_tensors(encoder, embedder) if stem == "both" else torchvision_tensors(encoder, stem)
    facts = {
        "format": "pt",
        "architecture": encoder.backbone,
        "stem": stem if encoder.stream == "two" else "shared",
        "layer4_stride": str(encoder.stages[-1].strides),
    }
    with atomic_file(path) as file:
        file.write(save(tensors, metadata=facts | (about or {})))
    return len(tensors)
