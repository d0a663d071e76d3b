"""The typed, frozen configuration of one run: every setting once, with its unit, range and the paper's value.

`flags/definitions.py` makes one absl flag of each field; below `main.py` nothing else is read.
A field's default is the paper's value where the paper gives one, else the choice argued in docs/choices.md.
"""

import dataclasses
import math
from dataclasses import dataclass, field


def setting(default, help, *, unit="", low=None, high=None, choices=None, paper="", resumable=False):
    """A dataclass field that carries its own documentation.

    Args:
        default: the value used when neither a preset nor the command line gives one.
        help: one sentence, no full stop at the end.
        unit: the unit shown in the help page, e.g. "pixels".
        low: smallest allowed value (inclusive) or None.
        high: largest allowed value (inclusive) or None.
        choices: tuple of allowed values or None.
        paper: what the paper says, or where the value comes from.
        resumable: True where a change does not alter the weights that a run arrives at, so that a
            run may be resumed with another value.
    """
    return field(
        default=default,
        metadata={
            "help": help,
            "unit": unit,
            "low": low,
            "high": high,
            "choices": choices,
            "paper": paper,
            "resumable": resumable,
        },
    )


@dataclass(frozen=True)
class Run:
    """Run: what to do and where."""

    mode: str = setting("", "what to do", choices=("pretrain", "synthesize", "check_data"))
    preset: str = setting(
        "paper",
        "named set of overrides; an explicit flag wins",
        choices=("paper", "demo", "smoke"),
        resumable=True,
    )
    workdir: str = setting(
        "",
        "run directory; everything a run makes goes there (default runs/MODE-DATASET-PRESET)",
        resumable=True,
    )
    seed: int = setting(0, "seed of every random draw", low=0)
    deterministic: bool = setting(
        True, "bit-identical weights for the same seed, at some cost in speed on GPUs"
    )
    force: bool = setting(False, "resume although the configuration changed", resumable=True)
    checkpoint_every_steps: int = setting(
        0,
        "save a resumable checkpoint this often within an epoch too; 0 = at epoch ends only",
        unit="steps",
        low=0,
        resumable=True,
    )


@dataclass(frozen=True)
class Data:
    """Data: which images."""

    dataset: str = setting(
        "synthetic", "data set", choices=("sysu", "regdb", "folder", "synthetic"), paper="sysu"
    )
    data_dir: str = setting("", "root of the data set (not needed for synthetic)", resumable=True)
    trial: int = setting(1, "RegDB's split", low=1, high=10)
    pretrain_ids: str = setting(
        "trainval",
        "identities to pre-train on; train holds the validation identities out for model selection",
        choices=("train", "trainval"),
        paper="trainval (inferred)",
    )
    image_height: int = setting(288, "height after resizing", unit="pixels", low=16, paper="288")
    image_width: int = setting(144, "width after resizing", unit="pixels", low=16, paper="144")
    cache: bool = setting(
        True, "keep decoded, resized images in memory-mapped files under cache_dir", resumable=True
    )
    cache_dir: str = setting("cache", "directory for decoded images and drawn worlds", resumable=True)
    on_bad_image: str = setting(
        "fail",
        "an unreadable image stops the run, or is left out, counted and listed",
        choices=("fail", "skip"),
    )


@dataclass(frozen=True)
class World:
    """Built-in world: the drawn people of --dataset=synthetic and --mode=synthesize."""

    world_seed: int = setting(0, "seed of the drawn world", low=0)
    world_layout: str = setting("sysu", "directory layout to write", choices=("sysu", "regdb"))
    world_train_identities: int = setting(300, "training identities", low=2)
    world_validation_identities: int = setting(40, "validation identities", low=0)
    world_test_identities: int = setting(200, "test identities", low=0)
    world_frames: int = setting(4, "frames per camera and identity", low=1)
    world_infrared_train_frames: int = setting(5, "frames per infrared camera and training identity", low=1)
    world_height: int = setting(
        192, "height of the drawn images; the width is half of it", unit="pixels", low=48
    )


@dataclass(frozen=True)
class Augmentation:
    """Augmentation: what happens to a training image on the fly."""

    pad_pixels: int = setting(
        10, "zero padding before the random crop", unit="pixels", low=0, paper="10 (baseline's)"
    )
    flip_probability: float = setting(0.5, "horizontal flip", low=0.0, high=1.0, paper="0.5")
    augmix_modalities: str = setting(
        "both",
        "modalities that AugMix acts on",
        choices=("both", "visible", "infrared", "none"),
        paper="silent",
    )
    augmix_severity: float = setting(
        3.0, "AugMix severity; an operation's level is uniform from 0.1 to it", low=0.1, high=10.0
    )
    augmix_width: int = setting(3, "AugMix chains", low=1, high=8)
    augmix_depth: int = setting(0, "operations per chain; 0 = uniform from 1 to 3", low=0, high=8)
    erase_modalities: str = setting(
        "both",
        "modalities that random erasing acts on",
        choices=("both", "visible", "infrared", "none"),
        paper="silent",
    )
    erase_probability: float = setting(0.5, "random erasing", low=0.0, high=1.0, paper="0.5 (Zhong et al.)")
    erase_min_area: float = setting(
        0.02, "smallest erased share of the image", low=0.0, high=1.0, paper="0.02 (Zhong et al.)"
    )
    erase_max_area: float = setting(
        0.4, "largest erased share of the image", low=0.0, high=1.0, paper="0.4 (Zhong et al.)"
    )
    erase_min_aspect: float = setting(
        0.3,
        "smallest height/width of the erased box; the largest is its inverse",
        low=0.01,
        high=1.0,
        paper="0.3 (Zhong et al.)",
    )
    share_permutation: bool = setting(True, "one stripe order per visible-infrared pair", paper="true")
    warp: str = setting(
        "pil", "rotation and shear: pil is exact to Pillow, fast a little faster", choices=("pil", "fast")
    )
    data_threads: int = setting(0, "threads that augment; 0 = one per core", low=0, resumable=True)


@dataclass(frozen=True)
class Network:
    """Network: the encoder."""

    backbone: str = setting(
        "resnet50", "trunk", choices=("resnet10", "resnet18", "resnet34", "resnet50"), paper="resnet50"
    )
    stream: str = setting(
        "two", "stems: two = one per modality, one = shared", choices=("one", "two"), paper="both"
    )
    stem_init: str = setting(
        "shared",
        "both stems start from the same values, or each from its own",
        choices=("shared", "independent"),
        paper="silent",
    )


@dataclass(frozen=True)
class Mmgl:
    """MMGL: the pre-training losses (paper Eqs. 2 to 7)."""

    num_stripes: int = setting(6, "horizontal stripes", low=2, paper="6")
    permutation: bool = setting(True, "permutation recovery, Eq. 4", paper="true")
    part: bool = setting(True, "part cross-entropy", paper="true")
    pcc: bool = setting(True, "part-aware cycle contrast, Eq. 6", paper="true")
    perm_loss: str = setting(
        "matrix",
        "what Eq. 4 compares: ranks or the matrices",
        choices=("matrix", "rank", "forward"),
        paper="silent",
    )
    perm_reduction: str = setting(
        "sum", "over the axes of one permutation", choices=("sum", "mean"), paper="silent"
    )
    perm_sample_reduce: str = setting(
        "loss",
        "average the losses of the Gumbel samples, or take the loss of their mean matrix",
        choices=("loss", "matrix"),
        paper="silent",
    )
    rank_scale: str = setting(
        "raw", "ranks 0..N-1, or scaled to 0..1", choices=("raw", "unit"), paper="silent"
    )
    perm_init_stddev: float = setting(
        0.001, "spread of the permutation head's initial weights", low=0.0, paper="silent"
    )
    sinkhorn_iters: int = setting(20, "Sinkhorn iterations, Eq. 2", low=1, paper="20")
    sinkhorn_tau: float = setting(1.0, "Sinkhorn temperature, Eq. 3", low=1e-3, paper="silent")
    gumbel_samples: int = setting(10, "Gumbel samples per image, Eq. 3", low=1, paper="10")
    gumbel_scale: float = setting(
        1.0, "Gumbel noise factor in training; evaluation is noise-free", low=0.0, paper="silent"
    )
    part_embedding_size: int = setting(256, "size of a stripe's embedding", low=2, paper="256")
    pcb_shared: bool = setting(
        True, "one projection for all stripe slots, or one each", paper="silent (authors' code: one each)"
    )
    pcb_bn: bool = setting(False, "batch norm after the projection", paper="silent")
    pcb_relu: bool = setting(False, "ReLU after the projection", paper="silent")
    part_ce_input: str = setting(
        "pre",
        "part classifier reads the embedding before or after normalisation",
        choices=("pre", "post"),
        paper="silent",
    )
    nce_tau: float = setting(0.07, "contrast temperature, Eq. 6", low=1e-3, paper="0.07")
    snn_tau: float = setting(0.0, "soft-neighbour temperature, Eq. 5; 0 = nce_tau", low=0.0, paper="0.07")
    snn_renorm: bool = setting(
        True, "soft neighbours are normalised before they are compared", paper="true (cosine)"
    )
    pcc_negatives: str = setting(
        "cross", "negative sets of Eq. 6", choices=("cross", "both_sets", "forward_only"), paper="ambiguous"
    )
    pcc_backward: str = setting(
        "retrieved",
        "what the backward step of Eq. 5 starts from",
        choices=("retrieved", "query"),
        paper="retrieved (text), query (figure)",
    )
    pcc_exclude_self: bool = setting(
        False, "the backward step may not return the query itself", paper="false (figure)"
    )
    pcc_universe: str = setting(
        "batch", "where the forward step looks", choices=("batch", "pair"), paper="batch (text)"
    )
    pcc_symmetric: bool = setting(True, "queries of both modalities, or visible only", paper="silent")
    pcc_stopgrad: str = setting(
        "none", "what the contrast treats as constant", choices=("none", "universe", "backward"), paper="none"
    )
    pcc_start_epoch: int = setting(0, "epoch that switches the contrast on", unit="epochs", low=0, paper="0")
    pcc_weight: float = setting(0.2, "lambda of Eq. 7, on the contrast", low=0.0, paper="0.2")
    part_weight: float = setting(1.0, "weight of the part cross-entropy", low=0.0, paper="1 (inferred)")


@dataclass(frozen=True)
class Optimization:
    """Optimisation: batches, learning rate and length."""

    batch_size: int = setting(48, "images per modality in a batch", unit="images", low=1, paper="48")
    epochs: int = setting(100, "length of the run", unit="epochs", low=1, paper="100")
    steps_per_epoch: int = setting(0, "length of an epoch; 0 = one pass (see epoch_by)", unit="steps", low=0)
    epoch_by: str = setting(
        "max",
        "one pass over the larger or the smaller modality",
        choices=("max", "min"),
        paper="max (inferred)",
    )
    learning_rate: float = setting(0.1, "peak learning rate", low=0.0, paper="0.1")
    lr_schedule: str = setting(
        "authors",
        "authors = per epoch, cosine from epoch 0; offset = per step, cosine after the warm-up",
        choices=("authors", "offset"),
        paper="authors' log",
    )
    warmup_epochs: float = setting(10.0, "linear warm-up", unit="epochs", low=0.0, paper="10 (inferred)")
    momentum: float = setting(0.9, "SGD momentum", low=0.0, high=1.0, paper="0.9")
    weight_decay: float = setting(5e-4, "coupled weight decay, as in PyTorch", low=0.0, paper="0.0005")
    wd_on_bn: bool = setting(True, "decay batch norm and biases too, as PyTorch does", paper="silent")
    clip_norm: float = setting(0.0, "clip the global gradient norm; 0 = never", low=0.0, paper="silent")
    precision: str = setting(
        "float32",
        "arithmetic of the trunk; heads and losses are always float32",
        choices=("float32", "bfloat16"),
        paper="float32",
    )
    jit_compile: bool = setting(False, "compile the step with XLA")


@dataclass(frozen=True)
class Validation:
    """Validation and logging."""

    validation_permutations: int = setting(4, "fixed stripe orders per held-out image", low=1)
    validation_images: int = setting(0, "held-out images per modality; 0 = all", unit="images", low=0)
    select_metric: str = setting(
        "whole", "accuracy that picks the best encoder", choices=("whole", "stripe"), paper="silent"
    )
    probe_images: int = setting(
        80, "held-out images per modality for panels and embedding statistics", unit="images", low=2
    )
    log_every_steps: int = setting(
        20, "TensorBoard step scalars and progress lines", unit="steps", low=1, resumable=True
    )


@dataclass(frozen=True)
class Config:
    """All settings of one run, by group. Frozen; made by `flags.definitions.read_config`."""

    run: Run = field(default_factory=Run)
    data: Data = field(default_factory=Data)
    world: World = field(default_factory=World)
    augmentation: Augmentation = field(default_factory=Augmentation)
    network: Network = field(default_factory=Network)
    mmgl: Mmgl = field(default_factory=Mmgl)
    optimization: Optimization = field(default_factory=Optimization)
    validation: Validation = field(default_factory=Validation)


GROUPS = {group.name: group.default_factory for group in dataclasses.fields(Config)}


def settings():
    """All settings in the order of the help page.

    Returns:
        list of (group name, dataclasses.Field).
    """
    return [(group, entry) for group, kind in GROUPS.items() for entry in dataclasses.fields(kind)]


def from_flat(values):
    """Build a Config from {setting name: value}; settings that are not named keep their defaults.

    Raises:
        ValueError: a name is not a setting.
    """
    by_group = {group: {} for group in GROUPS}
    owner = {entry.name: group for group, entry in settings()}
    for name, value in values.items():
        if name not in owner:
            raise ValueError(
                f"unknown setting {name!r}; known settings are listed by `python main.py --helpshort`"
            )
        by_group[owner[name]][name] = value
    return Config(**{group: GROUPS[group](**chosen) for group, chosen in by_group.items()})


def to_flat(config):
    """The inverse of `from_flat`: {setting name: value} in help order."""
    return {entry.name: getattr(getattr(config, group), entry.name) for group, entry in settings()}


def differences(old, new):
    """Settings that decide where a run arrives and that differ between two flat configurations.

    Args:
        old: {name: value} of the run on disk; may come from another version and lack names.
        new: {name: value} of the run about to start.

    Returns:
        list of (name, old value or None, new value), resumable settings left out.
    """
    decisive = [entry.name for _, entry in settings() if not entry.metadata["resumable"]]
    return [(name, old.get(name), new[name]) for name in decisive if old.get(name) != new[name]]


def validate(config):
    """Check every range and every combination that would only fail later.

    Raises:
        ValueError: names each wrong setting, what it was and what is allowed, one per line.
    """
    problems = []
    for name, value in to_flat(config).items():
        problems += _range_problems(name, value)
    if not problems:
        problems = _combination_problems(config)
    if problems:
        raise ValueError("these settings cannot work:\n  " + "\n  ".join(problems))


def _range_problems(name, value):
    entry = {entry.name: entry for _, entry in settings()}[name]
    allowed = entry.metadata
    if allowed["choices"] and value not in allowed["choices"]:
        if name == "mode" and value == "":
            return []
        return [f"--{name}={value}: expected one of {', '.join(allowed['choices'])}"]
    if isinstance(value, float) and not math.isfinite(value):
        return [f"--{name}={value}: expected a finite number"]
    if allowed["low"] is not None and value < allowed["low"]:
        return [
            f"--{name}={value}: the smallest allowed value is {allowed['low']} {allowed['unit']}".rstrip()
        ]
    if allowed["high"] is not None and value > allowed["high"]:
        return [
            f"--{name}={value}: the largest allowed value is {allowed['high']} {allowed['unit']}".rstrip()
        ]
    return []


def _combination_problems(config):
    problems = []
    stripes, height, width = config.mmgl.num_stripes, config.data.image_height, config.data.image_width
    if height % 16 or width % 16:
        problems.append(
            f"--image_height={height} --image_width={width}: both must be multiples of 16, the stride of the network"
        )
    elif (height // 16) % stripes:
        rows = height // 16
        fitting = [n for n in range(2, rows + 1) if rows % n == 0]
        problems.append(
            f"--num_stripes={stripes} does not divide the {rows} rows of the feature map of a {height}-pixel image; "
            f"use one of {', '.join(map(str, fitting))}, or another --image_height"
        )
    if config.augmentation.erase_min_area > config.augmentation.erase_max_area:
        problems.append(
            f"--erase_min_area={config.augmentation.erase_min_area} is larger than "
            f"--erase_max_area={config.augmentation.erase_max_area}"
        )
    if not (config.mmgl.permutation or config.mmgl.part or config.mmgl.pcc):
        problems.append("--nopermutation --nopart --nopcc leave no loss to train; keep at least one")
    if config.optimization.warmup_epochs > config.optimization.epochs:
        problems.append(
            f"--warmup_epochs={config.optimization.warmup_epochs} is longer than --epochs={config.optimization.epochs}"
        )
    return problems
