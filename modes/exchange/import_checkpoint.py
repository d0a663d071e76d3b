"""--mode=import: a checkpoint of PyTorch's world becomes a run directory of ours."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from mmgl_tf.backbones import Encoder
from mmgl_tf.flags.config import built_in, from_flat, recorded, to_flat
from mmgl_tf.flags.methods import evaluated, fixed, preset_of, title
from mmgl_tf.interchange.checkpoint import open_checkpoint
from mmgl_tf.interchange.fill import fill
from mmgl_tf.interchange.plain_text import plain
from mmgl_tf.interchange.recognise import recognise
from mmgl_tf.modes.model import build_embedder, prepare
from mmgl_tf.run_directory import atomic_file, claim_directory
from mmgl_tf.training.saving import save_weights

REPORT = "import.json"
# What a method's authors do to an image file before the network sees it.
_OF_IMAGES = ("image_height", "image_width", "resize")
_REGDB_IDENTITIES = 206  # that a network of RegDB is trained on, in each of its trials


def import_checkpoint(config):
    """Make a run directory of --checkpoint; --init takes it like any other run.

    The network is told from the tensors, and with it the image size and filter of its authors, unless
    --image_height, --image_width or --resize say otherwise. --dataset, where it is given, says what a
    fine-tuned network was trained on. Where two methods train the same network, --method says which of them
    did: with --method=caj a file of AGW's network is evaluated as CAJ's authors do.

    Args:
        config: `mmgl_tf.flags.config.Config`.

    Returns:
        0, the exit status.

    Raises:
        ValueError: the file cannot be read, or does not fill a network of ours; nothing was written.
    """
    path = config.importing.checkpoint
    if not path:
        raise ValueError("--mode=import needs --checkpoint=FILE: a .pth, .pt, .t or .safetensors file")
    prepare(config)
    with open_checkpoint(path) as checkpoint:
        try:
            found = recognise({name: tensor.shape for name, tensor in checkpoint.tensors.items()})
            config = _with_architecture(config, found)
            encoder, embedder = _networks(config, found)
            filled = fill(found, checkpoint.tensors, encoder, embedder)
        except ValueError as error:
            raise ValueError(f"--checkpoint={path} {error}. Nothing was written.") from error
    about = {
        "checkpoint": str(path),
        "sha256": _digest(path),
        "network": found.name,
        "backbone": found.backbone,
        "stream": encoder.stream,
        "method": config.run.method or None,
        "wrapper": checkpoint.wrapper,
        "facts": checkpoint.facts,
        "matched": filled.matched,
        "missing": [],
        "unexpected": filled.unexpected,
        "notes": [*filled.notes, *_namesakes(config, found)],
    }
    root = _write(config, found, encoder, embedder, about)
    print(f"checkpoint {path}" + (f", its entry '{plain(checkpoint.wrapper)}'" if checkpoint.wrapper else ""))
    called = f", called {title(config.run.method)}" if config.run.method != found.method else ""
    print(f"network    {found.name}, {encoder.stream}-stream here{called}")
    for line in [*filled.lines(), *_namesakes(config, found)]:
        print(f"tensors    {line}")
    size = f"{config.data.image_height} x {config.data.image_width}"
    print(
        f"images     {size} pixels, {config.data.resize}; --image_height, --image_width, --resize change it"
    )
    print(f"lists      {root / REPORT}")
    last = ", embed or finetune (its encoder)" if found.method else ", embed or finetune"
    modes = f"eval, visualize, export{last}"
    print(f"use        --init={root} with --mode={modes}", flush=True)
    return 0


def _with_architecture(config, found):
    """The configuration with what the tensors show, and what follows from it."""
    stems = {1: "one", 2: "two"}[found.stems]
    if (found.stems == 2 or found.method) and config.network.stream != stems and "stream" in config.typed:
        has = "a stem for each modality" if found.stems == 2 else "one stem for both modalities"
        chosen = " (a one-stream fine-tuning chooses a stem with --stem_from)" if found.stems == 2 else ""
        raise ValueError(f"has {has}, so --stream={config.network.stream} does not fit; leave it out{chosen}")
    method = _method(config, found)
    idle = [
        name for name in built_in() if name in config.typed and name not in (fixed(method) if method else ())
    ]
    if idle:
        raise ValueError(f"holds {found.name}, which --{min(idle)} says nothing about; leave it out")
    known = {"init": str(config.importing.checkpoint), "method": method, "backbone": found.backbone}
    if method:
        known["stream"] = stems
        regdb = found.identities == _REGDB_IDENTITIES or config.data.dataset == "regdb"
        dataset = "regdb" if regdb else "sysu"
        images = preset_of(method, config.run.preset, dataset)
        usual = evaluated(method, dataset) | {name: images[name] for name in _OF_IMAGES if name in images}
        known |= {name: value for name, value in usual.items() if name not in config.typed}
    return replace(from_flat(to_flat(config) | known | found.settings), typed=config.typed)


def _method(config, found):
    """The method that trained the network: what the tensors show, or one with the same network."""
    typed = config.run.method
    if not typed or typed in found.methods:
        return typed or found.method
    raise ValueError(
        f"holds {found.name}, so --method={typed} does not fit; leave it out: the tensors tell it"
        + (f", {' or '.join(found.methods)}" if found.methods else "")
    )


def _namesakes(config, found):
    """A sentence on the methods that have the same network, where the user has not chosen one."""
    others = [title(method) for method in found.methods if method != config.run.method]
    if not others or "method" in config.typed:
        return []
    own = title(config.run.method)
    return [
        f"a file of {' or '.join(others)} has the very same names, and is called {own} here: type "
        f"--method={found.methods[-1]} if it is one"
    ]


def _networks(config, found):
    """(encoder, embedder or None), built."""
    if found.method:
        embedder = build_embedder(config)
        return embedder.encoder, embedder
    encoder = Encoder(config.network.backbone, config.network.stream, seed=config.run.seed)
    encoder.build_from(config.data.image_height, config.data.image_width)
    return encoder, None


def _write(config, found, encoder, embedder, about):
    """The run directory; config.json comes last, so that half an import is no run."""
    root = claim_directory(config.run.workdir, REPORT)
    for name in ("config.json", "summary.json", "embedder_last.weights.h5"):
        (root / name).unlink(missing_ok=True)
    _write_json(root / REPORT, about)
    save_weights(encoder, root / "encoder_last.weights.h5")
    if embedder is not None:
        save_weights(embedder, root / "embedder_last.weights.h5")
    _write_json(root / "summary.json", {"status": "complete"})
    flat = recorded(config)
    if (found.stems == 1 and not found.method) or flat["dataset"] == "synthetic":
        # Unknown, or ImageNet: a data set that stands here counts as trained on.
        del flat["dataset"]
    _write_json(root / "config.json", flat)
    return root


def _write_json(path, content):
    with atomic_file(path, "w") as file:
        json.dump(content, file, indent=2)


def _digest(path):
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
