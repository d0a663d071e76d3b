"""One absl flag per setting of `mmgl_tf.flags.config`, the help page, and the parsing of a command line."""

import re
import signal
import sys
import textwrap

from absl import flags

from mmgl_tf.flags.config import (
    GROUPS,
    OF_METHODS,
    defaults,
    settings,
    unread,
    unread_settings,
    ways_to_act,
)
from mmgl_tf.flags.methods import DEFAULTS, methods_of
from mmgl_tf.flags.presets import FINETUNE_PRESETS, PRESETS
from mmgl_tf.flags.reading import configs_of
from mmgl_tf.flags.resolution import resolve
from mmgl_tf.flags.setting import expected_choice, in_words

FLAGS = flags.FLAGS

USAGE = """\
MMGL: self-supervised pre-training for visible-infrared person re-identification.

What to type:
  python main.py --mode=pretrain --dataset=synthetic --preset=demo   pre-train on drawn people
  python main.py --mode=pretrain --dataset=sysu --data_dir=DIR       the paper's run on SYSU-MM01
  python main.py --mode=finetune --dataset=sysu --data_dir=DIR --init=RUN    fine-tune AGW from that run
  python main.py --mode=eval --init=RUN                              find unseen people with a fine-tuned run
  python main.py --mode=visualize --init=RUN,RUN2                    pictures of one run, or of several
  python main.py --mode=export --init=RUN                            a SavedModel for TF Serving
  python main.py --mode=serve_check --init=RUN                       export it, serve it, compare
  python main.py --mode=embed --init=RUN --images=DIR                embeddings of images, as .npz and .tsv
  python main.py --mode=search --gallery=EMBEDDED --images=QUERIES   who in the gallery looks like whom
  python main.py --mode=import --checkpoint=FILE                     a PyTorch checkpoint as a run of ours
  python main.py --mode=check_data --dataset=sysu --data_dir=DIR     counts and problems of a data set
  python main.py --mode=synthesize --workdir=DIR                     write a drawn data set

All flags: python main.py --helpshort
"""


def define_flags(flag_values=FLAGS):
    """Define one absl flag per setting; call once, before parsing.

    Args:
        flag_values: `absl.flags.FlagValues` that they are registered in.
    """
    for _, entry in settings():
        default, about = entry.default, describe(entry)
        # An enum would refuse the empty default that stands for "not chosen yet"; `validate` checks it.
        if entry.metadata["choices"] and default != "":
            choices = list(entry.metadata["choices"])
            flags.DEFINE_enum(entry.name, default, choices, about, flag_values=flag_values)
        else:
            kinds = (
                (bool, flags.DEFINE_bool),  # before int, which bool is a kind of
                (int, flags.DEFINE_integer),
                (float, flags.DEFINE_float),
                (str, flags.DEFINE_string),
            )
            define = next(define for kind, define in kinds if isinstance(default, kind))
            define(entry.name, default, about, flag_values=flag_values)


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
        try:
            page = help_page(*(_asked(argv, name) for name in ("method", "mode", "preset", "recipe")))
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        print(page)
        sys.exit(0)
    if len(argv) == 1:
        print(USAGE)
        sys.exit(2)
    try:
        rest = _parse(FLAGS, argv)
    except flags.Error as error:
        print(f"error: {error}\n(all flags: python main.py --helpshort)", file=sys.stderr)
        sys.exit(2)
    return rest


def read_configs():
    """Parsed flags -> Configs; several only where --init names several runs to look at.

    Raises:
        ValueError: a setting is out of range, or two do not fit together, or --init names no run.
    """
    return configs_of(_typed(FLAGS))


def settings_in(words):
    """What flags say that are no command line of this process, such as those an experiment passes on.

    Args:
        words: list of str, as a shell would pass them.

    Returns:
        {setting: value} of the flags that are there.

    Raises:
        ValueError: a word is no flag, a setting is unknown, or a value has the wrong type or is no choice.
    """
    own = flags.FlagValues()
    define_flags(own)
    try:
        _parse(own, ["", *words])
    except flags.Error as error:
        raise ValueError(str(error)) from None
    return _typed(own)


def _parse(flag_values, argv):
    """Parse argv; its program name, as nothing positional may be left over."""
    try:
        rest = flag_values(argv)
    except flags.IllegalFlagValueError as error:
        raise flags.Error(_in_our_words(str(error))) from None
    if len(rest) > 1:
        raise flags.Error(f"unexpected {' '.join(rest[1:])!r}; every setting is written as --name=value")
    return rest


def _in_our_words(message):
    """What absl says of a value that a flag cannot have, as our own messages have it."""
    found = re.match(r"flag --(\w+)=(.*?): ", message, re.DOTALL)
    entry = found and {entry.name: entry for _, entry in settings()}.get(found[1])
    if not entry:
        return message
    if entry.metadata["choices"]:
        return f"--{found[1]}={found[2]}: {expected_choice(found[2], entry.metadata['choices'])}"
    kinds = ((bool, "true or false"), (int, "a whole number"), (float, "a number, such as 0.1"))
    expected = next(words for kind, words in kinds if isinstance(entry.default, kind))
    return f"--{found[1]}={found[2]}: expected {expected}"


def _typed(flag_values):
    """{setting: value} of the flags that were given."""
    return {
        entry.name: flag_values[entry.name].value
        for _, entry in settings()
        if flag_values[entry.name].present
    }


def describe(entry):
    """One line for a setting: what it is, allowed values, unit, what it needs, the paper's value."""
    about = entry.metadata
    parts = []
    if about["choices"]:
        short = "|".join(about["choices"])
        parts.append(short if len(short) < 80 else ", ".join(about["choices"]))  # long ones must wrap
    elif isinstance(entry.default, bool):
        parts.append("true|false")
    elif about["low"] is not None or about["high"] is not None:
        low = "" if about["low"] is None else about["low"]
        high = "" if about["high"] is None else about["high"]
        parts.append(f"{low}..{high}")
    if about["unit"]:
        parts.append(about["unit"])
    if about["needs"]:
        ways = [
            ", ".join(f"--{name}={in_words(allowed, '|')}" for name, allowed in way.items())
            for way in ways_to_act(entry)
            if _readable_beside(entry.name, way)
        ]
        parts += ["with " + " or ".join(ways)] * bool(ways)
    if about["paper"]:
        parts.append(f"paper: {about['paper']}")
    return about["help"] + (f" [{'; '.join(parts)}]" if parts else "")


def _readable_beside(name, others):
    """Whether other settings are read by whatever reads a setting: they are of its group, or of no method."""
    owner = {entry.name: group for group, entry in settings()}
    return all(owner[other] == owner[name] or owner[other] not in OF_METHODS for other in others)


def _asked(argv, name):
    """What a command line says of a flag, as --name=value or --name value; "" where it does not."""
    found = ""
    for word, following in zip(argv, [*argv[1:], ""], strict=True):
        flag, equals, value = word.partition("=")
        if flag in (f"-{name}", f"--{name}"):
            found = value if equals else following
    return found


def help_page(method="", mode="", preset="", recipe=""):
    """The flags that the chosen run reads, grouped: value, meaning, range, unit and the paper's value.

    Args:
        method: value of --method; "" = the one that the mode defaults to.
        mode: value of --mode; "" = the one that trains the method, or without a method both of them.
        preset: value of --preset, "" for its default.
        recipe: likewise.

    Raises:
        ValueError: there is no such mode, method, preset or recipe.
    """
    asked = {"mode": mode, "method": method, "preset": preset, "recipe": recipe}
    asked = {name: value for name, value in asked.items() if value}
    _require_choices(asked)
    if method and not mode:
        mode = next(kind for kind in DEFAULTS if method in methods_of(kind))
    values, shown = defaults(), list(DEFAULTS.values())
    if mode in DEFAULTS:
        values |= resolve(mode, asked) | {"mode": mode}
        shown = [values["method"]]
        hidden = unread_settings(mode, values["method"])
        told = "".join(f" --{name}={values[name]}" for name in ("method", "preset", "recipe"))
        told = f"Below are the flags of --mode={mode}{told}, with the values that these give them."
    elif mode:
        hidden = unread_settings(mode)
        told = f"Below are the flags that --mode={mode} reads."
    else:
        unread_by_both = set(OF_METHODS).intersection(*(unread("", name) for name in shown))
        hidden = {entry.name for group, entry in settings() if group in unread_by_both}
        told = "Below are the flags of all modes, and of the methods " + " and ".join(shown) + "."
    lines = [USAGE.rstrip(), "", *_presets(), "", textwrap.fill(told, 118, break_on_hyphens=False)]
    for group, kind in GROUPS.items():
        entries = [entry for name, entry in settings() if name == group and entry.name not in hidden]
        if entries:
            lines += [
                "",
                kind.__doc__.splitlines()[0].rstrip("."),
                *(_line(e, values[e.name]) for e in entries),
            ]
    others = ", ".join(name for name in methods_of(mode) if name not in shown)
    if mode in ("", *DEFAULTS):
        told = f"Other methods have flags of their own: --method=NAME --helpshort, of {others}"
        lines += ["", textwrap.fill(told, 118, break_on_hyphens=False)]
    return "\n".join(lines)


def _require_choices(asked):
    """Refuse {setting: value} with a value that is no choice."""
    allowed = {entry.name: entry.metadata["choices"] for _, entry in settings() if entry.name in asked}
    for name, value in asked.items():
        if value not in allowed[name]:
            raise ValueError(f"--{name}={value}: expected one of {', '.join(allowed[name])}")


def _presets():
    lines = ["Presets (an explicit flag wins):"]
    for name, overrides in PRESETS.items():
        text = ", ".join(f"{key}={value}" for key, value in overrides.items()) or "the defaults below"
        lines.append(textwrap.fill(f"  {name:6} {text}", 118, subsequent_indent=" " * 9))
        changes = {k: v for k, v in FINETUNE_PRESETS[name].items() if overrides.get(k) != v}
        text = "in finetune " + ", ".join(f"{key}={value}" for key, value in changes.items())
        lines.append(textwrap.fill(f"{'':9}{text}", 118, subsequent_indent=" " * 11))
    return lines


def _line(entry, value):
    value = str(value).lower() if isinstance(value, bool) else value
    head = f"  --{entry.name}={value}"
    return textwrap.fill(f"{head:34} {describe(entry)}", 118, subsequent_indent=" " * 35)
