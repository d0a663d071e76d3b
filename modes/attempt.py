"""Training from a mode: what a stop or an error of TensorFlow's means to the person at the terminal."""

import re

import tensorflow as tf

from mmgl_tf.training.guards import Interrupted


def attempt(fit, run):
    """Train, or say why not.

    Args:
        fit: function () -> result.
        run: `RunDirectory`.

    Returns:
        (exit status, result): (0, what `fit` returned), or (128 + signal, None) where it was asked to stop.

    Raises:
        ValueError: TensorFlow failed; says why in a line.
    """
    try:
        return 0, fit()
    except Interrupted as stopped:
        print(f"\n{stopped}; everything is saved in {run.root}. Give the same command again to go on.")
        return 128 + stopped.signum, None
    except tf.errors.ResourceExhaustedError as error:
        raise ValueError(
            f"out of memory; try a smaller batch or image, or --precision=bfloat16 ({error.message[:200]})"
        ) from error
    except tf.errors.OpError as error:
        raise ValueError(f"TensorFlow stopped the run: {plain_reason(error.message)}") from error


def plain_reason(message):
    """The line of a TensorFlow message that a person can use: that of the Python error inside, if any."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    ours = [line for line in lines if re.match(r"(\w+Error|ValueError): ", line)]
    return (ours or lines or ["no message"])[0]
