"""The first lines of a run: what it will do, on what, with what, and where its output goes."""

import tensorflow as tf

from mmgl_tf.flags.config import to_flat
from mmgl_tf.flags.methods import title
from mmgl_tf.modes.model import compiles
from mmgl_tf.pipelines.records import INFRARED, MODALITIES, VISIBLE


def announce(config, splits, stores, model, training, distribution, notes=()):
    """Print them.

    Args:
        config: `mmgl_tf.flags.config.Config`.
        splits: `mmgl_tf.pipelines.records.DatasetSplits`.
        stores: {(split name, modality): ImageStore}.
        model: built model.
        training: `mmgl_tf.training.fit.Training`.
        distribution: `mmgl_tf.machines.distribution.Distribution`.
        notes: further (name, text) lines.
    """
    optimization, data = config.optimization, config.data
    finetuning, run = config.run.mode == "finetune", config.run
    recipe = f", recipe {run.recipe}" if run.recipe != "common" else ""
    lines = [
        (
            "run",
            f"{run.mode} {title(run.method, to_flat(config))}, seed {run.seed}, preset {run.preset}{recipe}",
        )
    ]
    lines.append(("data", f"{splits.name} in {splits.root}, --train_ids={data.train_ids}"))
    for split in splits.splits():
        if len(split):
            cameras = {VISIBLE: [], INFRARED: []}
            totals = {VISIBLE: 0, INFRARED: 0}
            for (modality, camera), count in split.counts().items():
                totals[modality] += count
                cameras[modality].append(f"camera {camera}: {count}" if camera is not None else f"{count}")
            halves = [
                f"{totals[modality]} {MODALITIES[modality]} ({', '.join(cameras[modality])})"
                for modality in (VISIBLE, INFRARED)
                if totals[modality]
            ]
            unused = "" if split.name in ("train", "validation") else "; not read in this mode"
            lines.append((split.name, f"{len(split.identities())} identities, {', '.join(halves)}{unused}"))
    skipped = [pair for store in stores.values() for pair in store.skipped]
    if skipped:
        lines.append(("skipped", f"{len(skipped)} unreadable images (--on_bad_image=skip):"))
        lines += [("", f"{path}: {reason}") for path, reason in skipped[:20]]
        if len(skipped) > 20:
            lines.append(("", f"and {len(skipped) - 20} more"))
    for problem in splits.problems[:10]:
        lines.append(("problem", problem))
    if len(splits.problems) > 10:
        lines.append(("problem", f"{len(splits.problems) - 10} more; see --mode=check_data"))
    encoders = [encoder for encoder, _ in model.embedder.starts()] if finetuning else [model.encoder]
    parameters = sum(int(tf.size(weight)) for encoder in encoders for weight in encoder.trainable_variables)
    several = f"{len(encoders)} encoders of " if len(encoders) > 1 else ""
    lines.append(
        (
            "network",
            f"{several}{model.encoder.backbone}, {model.encoder.stream}-stream, {parameters:,} encoder "
            "parameters, "
            f"{data.image_height}x{data.image_width} pixels"
            + (f", {model.describe()}" if model.describe() else ""),
        )
    )
    lines += notes
    each, shown = training.images_per_step // len(model.modalities), len(model.modalities)
    batch = " + ".join(f"{each} {modality}" for modality in model.modalities)
    batch += f" images (global batch {training.images_per_step})"
    if finetuning:
        options = config.finetuning
        batch += (
            f", {options.identities_per_batch} identities x {options.images_per_identity} of each modality"
        )
    lines.append(
        (
            "steps",
            f"{optimization.epochs} epochs x {training.steps_per_epoch} steps of {batch}",
        )
    )
    lines += _divided(config, each, shown, distribution)
    devices = [device.device_type for device in tf.config.list_logical_devices("GPU")]
    cores = tf.config.threading.get_intra_op_parallelism_threads() or "all"
    where = f"{len(devices)} GPU" if devices else f"CPU ({cores} cores)"
    lines.append(
        (
            "compute",
            f"{optimization.precision}, {where}, "
            f"{'deterministic' if config.run.deterministic else 'not deterministic'}, "
            f"XLA {'on' if compiles(config, distribution.total) else 'off'}",
        )
    )
    if not devices and config.network.backbone in ("resnet34", "resnet50"):
        lines.append(
            ("note", "without a GPU this network takes many seconds a step; --preset=demo is for CPUs")
        )
    if not devices and optimization.precision == "float16":
        lines.append(
            ("note", "CPUs compute float16 many times more slowly than float32; bfloat16 is for them")
        )
    first = training.first_step
    lines.append(
        ("resume", f"from step {first} of {training.total_steps}" if first else "no, from the start")
    )
    lines.append(("output", f"{config.run.workdir}  (tensorboard --logdir {config.run.workdir})"))
    for name, text in lines:
        print(f"{name:11}{text}")
    print(flush=True)


def _divided(config, each, shown, distribution):
    """Lines on what one replica, and one pass through the network, has of the global batch.

    Args:
        each: images of a modality in it.
        shown: modalities.
    """

    def images(number):
        return " + ".join([str(number)] * shown)

    total, parts = distribution.total, config.scale.accumulate
    lines = []
    if total == 1:
        lines.append(("strategy", f"{distribution.name}, one replica"))
    else:
        normalised = "batch norm over all of them" if config.scale.sync_batch_norm else "batch norm in each"
        workers = f" on {distribution.workers} workers" if distribution.workers > 1 else ""
        share = f"{images(each // total)} images on each"
        lines.append(
            (
                "strategy",
                f"{distribution.name}, {total} replicas{workers}, {share}, {normalised}",
            )
        )
    if parts > 1:
        part = each // total // parts
        lines.append(
            (
                "accumulate",
                f"{parts} parts of {images(part)} images, one after the other; the losses are of the "
                f"effective batch of {images(each)}",
            )
        )
    return lines
