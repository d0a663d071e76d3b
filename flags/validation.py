"""Which settings, and which combinations of them, can work."""

import math

from mmgl_tf.flags.config import GROUPS, options, settings, to_flat
from mmgl_tf.flags.methods import DEFAULTS, METHODS, groups_of, methods_of, obstacle_to_xla
from mmgl_tf.flags.setting import expected_choice


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
        if value == entry.default:  # "": not chosen
            return []
        return [f"--{name}={value}: {expected_choice(value, allowed['choices'])}"]
    if isinstance(value, float) and not math.isfinite(value):
        return [f"--{name}={value}: expected a finite number"]
    unit = f" ({allowed['unit']})" if allowed["unit"] else ""
    if allowed["low"] is not None and value < allowed["low"]:
        return [f"--{name}={value}: the smallest allowed value is {allowed['low']}{unit}"]
    if allowed["high"] is not None and value > allowed["high"]:
        return [f"--{name}={value}: the largest allowed value is {allowed['high']}{unit}"]
    return []


def _scale_problems(config):
    problems, scale = [], config.scale
    if config.run.mode not in (*DEFAULTS, ""):
        if scale.strategy in ("mirrored", "multi_worker"):
            problems.append(
                f"--strategy={scale.strategy} with --mode={config.run.mode}: only pretrain and finetune work "
                "on several devices; leave --strategy out"
            )
        return problems
    obstacle = obstacle_to_xla(config.run.method, options(config)) if config.run.method in METHODS else ""
    if obstacle and scale.jit_compile == "on":
        problems.append(f"--jit_compile=on: {obstacle}; use --jit_compile=off")
    if scale.jit_compile == "on" and config.run.deterministic:
        problems.append(
            "--jit_compile=on with --deterministic: XLA has no deterministic kernels for all of a step, and "
            "TensorFlow would run it uncompiled without a word; add --nodeterministic, or use "
            "--jit_compile=off"
        )
    if scale.jit_compile == "on" and scale.strategy in ("mirrored", "multi_worker"):
        problems.append(
            f"--jit_compile=on with --strategy={scale.strategy}: a step that is replicated cannot be "
            "compiled; use --jit_compile=off"
        )
    if scale.jit_compile == "on" and scale.accumulate > 1:
        problems.append(
            f"--jit_compile=on with --accumulate={scale.accumulate}: compiled, the parts of a batch would "
            "share no memory; use one of the two"
        )
    batch = {
        "pretrain": config.optimization.batch_size,
        "finetune": config.finetuning.identities_per_batch * config.finetuning.images_per_identity,
    }.get(config.run.mode)
    if batch and batch % scale.accumulate:
        problems.append(
            f"--accumulate={scale.accumulate} does not divide the batch's {batch} images per modality; use a "
            "divisor of it"
        )
    return problems


def _combination_problems(config):
    problems = []
    height, width = config.data.image_height, config.data.image_width
    if height % 16 or width % 16:
        problems.append(
            f"--image_height={height} --image_width={width}: "
            "both must be multiples of 16, the stride of the network"
        )
    if config.run.mode in DEFAULTS and config.run.method in methods_of(config.run.mode):
        for group in groups_of(config.run.method):
            problems += getattr(GROUPS[group], "problems", lambda _: [])(config)
    problems += _scale_problems(config)
    words = [word.strip() for word in config.optimization.lr_milestones.split(",")]
    numbers = [int(word) for word in words if word.isdecimal()]
    if words != [""] and (len(numbers) < len(words) or sorted(numbers) != numbers):
        problems.append(
            f"--lr_milestones={config.optimization.lr_milestones}: expected ascending whole numbers of "
            "epochs with commas between, such as 20,50"
        )
    if config.optimization.warmup_epochs >= config.optimization.epochs:
        problems.append(
            f"--warmup_epochs={config.optimization.warmup_epochs} is not shorter than "
            f"--epochs={config.optimization.epochs}"
        )
    return problems
