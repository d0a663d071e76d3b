"""A dataclass field that carries its own documentation; one absl flag is made of each."""

from dataclasses import field


def setting(
    default, help, *, unit="", low=None, high=None, choices=None, paper="", resumable=False, needs=None
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
        needs: {setting: value, or tuple of values} of others without which it does nothing, or None.
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
            "needs": needs,
        },
    )
