"""A dataclass field that carries its own documentation; one absl flag is made of each."""

import difflib
from dataclasses import field

ONE_OR_MORE = range(1, 2**31)


def setting(
    default,
    help,
    *,
    unit="",
    low=None,
    high=None,
    choices=None,
    paper="",
    resumable=False,
    at_start=False,
    needs=None,
):
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
        at_start: True where it is read at a run's beginning alone, so that not even --force can change it.
        needs: {setting: value, or tuple or range of values} of others without which it does nothing; a tuple
            of such where any one of them is enough; or None.
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
            "at_start": at_start,
            "needs": needs,
        },
    )


def in_words(allowed, between):
    """Values that a setting may have, for people.

    Args:
        allowed: tuple or range of them; of a range only the start counts.
        between: what stands between two of them.
    """
    return f"{allowed.start} or more" if isinstance(allowed, range) else between.join(map(str, allowed))


def expected_choice(value, choices):
    """The end of a sentence about a value that is no choice.

    Args:
        value: str that was given.
        choices: iterable of str.
    """
    (like,) = difflib.get_close_matches(value, choices, 1) or [""]
    return f"expected one of {', '.join(filter(None, choices))}" + (f"; did you mean {like}?" if like else "")
