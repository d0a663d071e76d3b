"""One absl flag per setting of `flags.config`, the help page, and the way from a command line to a Config."""

import json
import signal
import sys
import textwrap
from pathlib import Path

from absl import flags

from flags.config import GROUPS, from_flat, settings
from flags.presets import FINETUNE_PRESETS, PRESETS, preset
from flags.validation import validate

FLAGS = flags.FLAGS

USAGE = """\
MMGL: self-supervised pre-training for visible-infrared person re-identification.

What to type:
  python main.py --mode=pretrain --dataset=synthetic --preset=demo   pre-train on drawn people
  python main.py --mode=pretrain --dataset=sysu --data_dir=DIR       the paper's run on SYSU-MM01
  python main.py --mode=finetune --dataset=sysu --data_dir=DIR --init=RUN    fine-tune AGW from that run
  python main.py --mode=eval --init=RUN                              find unseen people with a fine-tuned run
  python main.py --mode=visualize --init=RUN,RUN2                    pictures of one run, or of several
  python main.py --mode=check_data --dataset=sysu --data_dir=DIR     counts and problems of a data set
  python main.py --mode=synthesize --workdir=DIR                     write a drawn data set

All flags: python main.py --helpshort
"""


def define_flags():
    """Register one absl flag per setting; call once, before parsing."""
    for _, entry in settings():
        default, about = entry.default, describe(entry)
        # An enum would refuse the empty default that stands for "not chosen yet"; `validate` checks it.
        if entry.metadata["choices"] and default != "":
            flags.DEFINE_enum(entry.name, default, list(entry.metadata["choices"]), about)
        elif isinstance(default, bool):
            flags.DEFINE_bool(entry.name, default, about)
        elif isinstance(default, int):
            flags.DEFINE_integer(entry.name, default, about)
        elif isinstance(default, float):
            flags.DEFINE_float(entry.name, default, about)
        else:
            flags.DEFINE_string(entry.name, default, about)


def parse_command_line(argv):
    """Parse, or print help; absl's `app.run` calls this.

    Args:
        argv: the command line, program name first.

    Returns:
        The positional arguments left over, program name first.
    """
    if any(word.lstrip("-") in ("help", "helpshort", "h", "helpfull") for word in argv[1:]):
        if hasattr(signal, "SIGPIPE"):  # `--helpshort | head` may close the pipe early.
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        print(help_page())
        sys.exit(0)
    if len(argv) == 1:
        print(USAGE)
        sys.exit(2)
    try:
        rest = FLAGS(argv)
        if len(rest) > 1:
            raise flags.Error(f"unexpected {' '.join(rest[1:])!r}; every setting is written as --name=value")
    except flags.Error as error:
        print(f"error: {error}\n(all flags: python main.py --helpshort)", file=sys.stderr)
        sys.exit(2)
    return rest


# What eval and visualize do not take over from the run they look at.
_OWN = ("mode", "init", "workdir", "preset", "force")
# Values of --init that eval takes without a run.
WITHOUT_RUN = ("chance", "hog", "colour", "pixels")
# What is built into a run's weights.
_FIXED = ("backbone", "stem_init", "method", "non_local_width", "gem_power")


def read_configs():
    """Parsed flags -> Configs; several only where --init names several runs to look at.

    Defaults are overridden by the preset, and those by what was typed; eval and visualize begin with the
    settings of the run that --init names instead.

    Raises:
        ValueError: a setting is out of range, or two do not fit together, or --init names no run.
    """
    typed = {entry.name: FLAGS[entry.name].value for _, entry in settings() if FLAGS[entry.name].present}
    if FLAGS.mode == "visualize" or (FLAGS.mode == "eval" and FLAGS.init not in WITHOUT_RUN):
        runs = _runs(FLAGS.init)
        if not runs:
            raise ValueError("--init is empty; give the --workdir of an earlier run, or several with commas")
        chosen = [_looking_at(run, typed) for run in runs]
        if FLAGS.mode == "eval" and len(runs) > 1 and "workdir" in typed:
            for number, values in enumerate(chosen, 1):  # a directory for each run
                values["workdir"] = str(Path(typed["workdir"]) / f"run-{number}")
    else:
        chosen = [preset(FLAGS.preset, FLAGS.mode) | typed | {"preset": FLAGS.preset}]
        if FLAGS.mode == "finetune":
            chosen[0]["stream"] = _stream(chosen[0].get("method", FLAGS.method), typed)
        if not chosen[0].get("workdir"):
            chosen[0]["workdir"] = default_workdir()
    configs = [from_flat(values) for values in chosen]
    for config in configs:
        validate(config)
    return configs


def _stream(method, typed):
    """The stems of a fine-tuning method, so that its config.json says what was built."""
    stream = "one" if method == "one_stream" else "two"
    if typed.get("stream", stream) != stream:
        raise ValueError(f"--stream={typed['stream']}: --method={method} has --stream={stream}; leave it out")
    return stream


def _runs(init):
    """The run directories that --init names."""
    runs = []
    for name in (word.strip() for word in init.split(",")):
        runs += (
            [name.replace("{trial}", str(trial)) for trial in range(1, 11)] if "{trial}" in name else [name]
        )
    return [name for name in runs if name]


def _looking_at(run, typed):
    """The settings of a run, with what was typed over them."""
    path = Path(run) / "config.json"
    try:
        saved = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(
            f"--init={run} is no run to look at: {path} is missing or unreadable ({error}). "
            "Give the --workdir of an earlier run."
        ) from error
    changed = [name for name in _FIXED if name in typed and name in saved and typed[name] != saved[name]]
    if changed:
        name = changed[0]
        raise ValueError(
            f"--{name}={typed[name]}, but {run} was trained with --{name}={saved[name]}; leave it out"
        )
    known = {entry.name for _, entry in settings()} - set(_OWN)
    values = {name: value for name, value in saved.items() if name in known} | typed
    values |= {"init": run, "preset": saved.get("preset", "paper")}
    if "workdir" not in typed:
        data = {"dataset": "synthetic", "trial": 1} | values
        split = f"{data['dataset']}-trial{data['trial']}" if data["dataset"] == "regdb" else data["dataset"]
        values["workdir"] = str(Path(run) / FLAGS.mode / "-".join([split, *_options(values)]))
    return values


def _options(values):
    """What makes an evaluation another than the plain protocol's; part of its directory's name."""
    plain = {entry.name: entry.default for group, entry in settings() if group == "evaluation"}
    chosen = {
        name: values.get(name, default)
        for name, default in plain.items()
        if values.get(name, default) != default
    }
    names = [name for name in ("flip", "rerank") if chosen.get(name)]
    names += [chosen["gallery_draw"]] if "gallery_draw" in chosen else []
    names += [f"identities_{chosen['count_identities']}"] if "count_identities" in chosen else []
    return names + ([f"{chosen['trials']}_trials"] if "trials" in chosen else [])


def default_workdir():
    """A run directory that says what is in it, so that different things do not meet in one."""
    if FLAGS.mode == "synthesize":
        return f"runs/world-{FLAGS.world_layout}-seed{FLAGS.world_seed}"
    split = f"{FLAGS.dataset}-trial{FLAGS.trial}" if FLAGS.dataset == "regdb" else FLAGS.dataset
    if FLAGS.mode == "eval":
        values = {entry.name: FLAGS[entry.name].value for group, entry in settings() if group == "evaluation"}
        return "-".join([f"runs/eval-{split}-{FLAGS.init}", *_options(values)])
    if FLAGS.mode != "finetune":
        return f"runs/{FLAGS.mode}-{split}-{FLAGS.preset}"
    method = (
        {"method": FLAGS.method} | ({} if FLAGS["method"].present else preset(FLAGS.preset, "finetune"))
    )["method"]
    start = "random" if FLAGS.init == "random" else "mmgl"
    return f"runs/finetune-{split}-{method}-{start}-{FLAGS.preset}"


def describe(entry):
    """One line for a setting: what it is, allowed values, unit, the paper's value."""
    about = entry.metadata
    parts = []
    if about["choices"]:
        parts.append("|".join(about["choices"]))
    elif isinstance(entry.default, bool):
        parts.append("true|false")
    elif about["low"] is not None or about["high"] is not None:
        low = "" if about["low"] is None else about["low"]
        high = "" if about["high"] is None else about["high"]
        parts.append(f"{low}..{high}")
    if about["unit"]:
        parts.append(about["unit"])
    if about["paper"]:
        parts.append(f"paper: {about['paper']}")
    return about["help"] + (f" [{'; '.join(parts)}]" if parts else "")


def help_page():
    """All flags, grouped, each with default, meaning, range, unit and the paper's value."""
    lines = [USAGE.rstrip(), "", "Presets (an explicit flag wins):"]
    for name, overrides in PRESETS.items():
        text = ", ".join(f"{key}={value}" for key, value in overrides.items()) or "the defaults below"
        lines.append(textwrap.fill(f"  {name:6} {text}", 118, subsequent_indent=" " * 9))
        changes = {k: v for k, v in FINETUNE_PRESETS[name].items() if overrides.get(k) != v}
        text = "in finetune " + ", ".join(f"{key}={value}" for key, value in changes.items())
        lines.append(textwrap.fill(f"{'':9}{text}", 118, subsequent_indent=" " * 11))
    for group, kind in GROUPS.items():
        lines += ["", kind.__doc__.splitlines()[0].rstrip(".")]
        for name, entry in settings():
            if name == group:
                default = str(entry.default).lower() if isinstance(entry.default, bool) else entry.default
                head = f"  --{entry.name}={default}"
                lines.append(textwrap.fill(f"{head:34} {describe(entry)}", 118, subsequent_indent=" " * 35))
    return "\n".join(lines)
