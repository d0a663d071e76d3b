"""--mode=import: a checkpoint of PyTorch's world becomes a run directory of ours."""

import hashlib
import json
from pathlib import Path

from mmgl_tf.backbones import Encoder
from mmgl_tf.flags.config import from_flat, recorded, to_flat
from mmgl_tf.interchange.checkpoint import open_checkpoint
from mmgl_tf.interchange.fill import fill
from mmgl_tf.interchange.plain_text import plain
from mmgl_tf.interchange.recognise import recognise
from mmgl_tf.modes.model import build_embedder, prepare
from mmgl_tf.run_directory import atomic_file, claim_directory
from mmgl_tf.training.saving import save_weights

REPORT = "import.json"


def import_checkpoint(config):
    """Make a run directory of --checkpoint; --init takes it like any other run.

    The network is told from the tensors. Image size is the paper's, or --image_height and --image_width.
    --dataset, where it is given, says what a two-stream network was trained on.

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
        "method": found.method or None,
        "wrapper": checkpoint.wrapper,
        "facts": checkpoint.facts,
        "matched": filled.matched,
        "missing": [],
        "unexpected": filled.unexpected,
        "notes": list(filled.notes),
    }
    root = _write(config, found, encoder, embedder, about)
    print(f"checkpoint {path}" + (f", its entry '{plain(checkpoint.wrapper)}'" if checkpoint.wrapper else ""))
    print(f"network    {found.name}, {encoder.stream}-stream here")
    for line in filled.lines():
        print(f"tensors    {line}")
    print(f"lists      {root / REPORT}")
    modes = (
        "eval, export, embed or finetune (its encoder)" if found.method else "finetune, eval, export or embed"
    )
    print(f"use        --init={root} with --mode={modes}", flush=True)
    return 0


def _with_architecture(config, found):
    """The configuration with the architecture that the tensors show."""
    stream = config.network.stream
    if found.stems == 2 and stream == "one":
        raise ValueError(
            "has a stem for each modality, so --stream=one does not fit; leave it out (a one-stream "
            "fine-tuning chooses a stem with --stem_from)"
        )
    known = {"init": str(config.importing.checkpoint), "method": found.method, "backbone": found.backbone}
    return from_flat(to_flat(config) | known | found.settings)


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
    if found.stems == 1 or flat["dataset"] == "synthetic":
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
