"""What a run leaves behind, without training it: settings and weights of the smallest network."""

import dataclasses
import json

import numpy as np

from mmgl_tf.backbones import Encoder
from mmgl_tf.flags.config import World, from_flat, to_flat
from mmgl_tf.flags.resolution import resolve
from mmgl_tf.modes.model import build_embedder

WORLD = World(
    world_train_identities=4,
    world_validation_identities=2,
    world_test_identities=3,
    world_frames=2,
    world_infrared_train_frames=2,
    world_height=96,
)


def settings(mode="finetune", **changes):
    """A `Config` of a run of 96 x 48 pixels; evaluation neither draws nor fixes the process's seed."""
    flat = {
        "mode": mode,
        "backbone": "resnet10",
        "image_height": 96,
        "image_width": 48,
        "batch_size": 16,
        "method": "mmgl" if mode == "pretrain" else "two_stream",
        "init": "random",
        "deterministic": False,
        "pictures": False,
    }
    world = dataclasses.asdict(WORLD)
    return from_flat(flat | world | changes)


def published_settings(mode, method, **typed):
    """The `Config` of a run on SYSU-MM01 as --preset=paper has it, but for what is typed."""
    return from_flat(resolve(mode, {"method": method, "dataset": "sysu"} | typed) | {"mode": mode})


def write_run(directory, config, embedders=(), encoders=(), steps=0, best_epoch=None, status=None):
    """The files of a run.

    Args:
        directory: of the run.
        config: its `Config`.
        embedders, encoders: names of weights to write, "last" or "best"; each gets values of its own.
        steps: finished steps that metrics.jsonl tells of.
        best_epoch, status: that summary.json tells of.

    Returns:
        {weights file name: the layer with its weights}.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(to_flat(config)))
    written = {}
    for which in embedders:
        embedder = build_embedder(config)
        written[f"embedder_{which}"] = _save(embedder, directory / f"embedder_{which}.weights.h5", which)
    for which in encoders:
        encoder = Encoder(config.network.backbone, config.network.stream, seed=config.run.seed)
        encoder.build_from(config.data.image_height, config.data.image_width)
        written[f"encoder_{which}"] = _save(encoder, directory / f"encoder_{which}.weights.h5", which)
    if steps:
        rows = [{"epoch": 0, "step": 1}, {"epoch": 1, "step": steps}]
        (directory / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = {"best_epoch": best_epoch, "status": status}
    if any(told.values()):
        summary = {name: value for name, value in told.items() if value}
        (directory / "summary.json").write_text(json.dumps(summary))
    return written


def _save(layer, path, which):
    dice = np.random.default_rng({"last": 0, "best": 1}[which])
    for variable in layer.weights:
        scale = dice.uniform(0.5, 1.5, variable.shape).astype("float32")
        variable.assign(variable * scale)
    layer.save_weights(path)
    return layer
