"""Opens a checkpoint of PyTorch's world, whatever its format and wrapping: {name: tensor}."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from mmgl_tf.interchange.plain_text import plain
from mmgl_tf.interchange.safetensors_files import open_safetensors
from mmgl_tf.interchange.stored_tensor import StoredTensor
from mmgl_tf.interchange.torch_files import RESAVE, open_torch_file

# Where training scripts put the state dict: AGW, DDAG and MMGL; Lightning and MoCo; timm and others.
WRAPPERS = ("net", "state_dict", "model", "model_state_dict")
# What wrappers of the network put before every name: DataParallel, torch.compile.
PREFIXES = ("module.", "_orig_mod.")
# The first bytes of what people have instead of a checkpoint, and what to do about it.
OTHERS = {
    b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19": "is in PyTorch's format from before 1.6. In PyTorch: "
    + RESAVE,
    b"\x80": "is a bare pickle, which is not read. In PyTorch: torch.save(model.state_dict(), NEW_FILE)",
    b"\x89HDF": "is in HDF5, Keras' format for weights. Give such a file to --mode=finetune as --init",
    b"version https://git-lfs": "is a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`",
    b"<": "is a web page, not a checkpoint; download the file itself",
}


@dataclass(frozen=True)
class Checkpoint:
    """An open checkpoint.

    Attributes:
        tensors: {name: `StoredTensor`}, names without what DataParallel puts before them.
        wrapper: key under which the file had them, "" for a bare state dict.
        facts: {name: number or text} that stood beside them, such as the epoch.
    """

    tensors: dict
    wrapper: str
    facts: dict


@contextlib.contextmanager
def open_checkpoint(path):
    """Opens a checkpoint: .pth, .pt or .t as torch.save writes it (zip format), or .safetensors.

    The format is told from the content. PyTorch is not needed, and nothing in the file is run.

    Args:
        path: of the file.

    Yields:
        `Checkpoint`; its tensors are read while the file is open.

    Raises:
        ValueError: no such file, damaged, of another format, or without tensors; says what to do.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"--checkpoint={path} is no file; give a .pth, .pt, .t or .safetensors file")
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"PK"):
        with open_torch_file(path) as contents:
            yield _unwrapped(contents, path)
    elif path.suffix == ".safetensors" or start[8:9] == b"{":
        with open_safetensors(path) as tensors:
            yield Checkpoint(_without_prefix(tensors), "", {})
    else:
        reasons = [reason for magic, reason in OTHERS.items() if start.startswith(magic)]
        raise ValueError(
            f"{path} " + (reasons or ["is neither a zip file of torch.save nor a .safetensors file"])[0]
        )


def _unwrapped(contents, path):
    """Finds the state dict inside the saved object."""
    if not isinstance(contents, dict):
        raise ValueError(
            f"{path} holds a {type(contents).__name__}; expected a state dict: {{name: tensor}}. "
            "In PyTorch: torch.save(model.state_dict(), NEW_FILE)"
        )
    if _tensors(contents):
        return Checkpoint(_without_prefix(_tensors(contents)), "", {})
    # By identity: a hostile file has one dict under thousands of keys.
    found = {id(value): _tensors(value) for value in _distinct_dicts(contents)}
    inside = {key: found[id(value)] for key, value in contents.items() if found.get(id(value))}
    known = [key for key in WRAPPERS if key in inside] or (list(inside) if len(inside) == 1 else [])
    if not known:
        shown = [plain(key) for key in sorted(map(str, contents))[:8]]
        raise ValueError(
            f"{path} holds {shown}, {len(inside)} of them with tensors; expected a state dict, bare or under "
            f"one of {', '.join(WRAPPERS)}. "
            "In PyTorch: torch.save(model.state_dict(), NEW_FILE)"
        )
    facts = {str(key): value for key, value in contents.items() if type(value) in (int, float, str)}
    return Checkpoint(_without_prefix(inside[known[0]]), str(known[0]), facts)


def _distinct_dicts(contents):
    return {id(value): value for value in contents.values() if isinstance(value, dict)}.values()


def _tensors(values):
    return {
        key: value
        for key, value in values.items()
        if isinstance(value, StoredTensor) and isinstance(key, str)
    }


def _without_prefix(tensors):
    for prefix in PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors
