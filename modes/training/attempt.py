"""Training from a mode: what a stop or an error of TensorFlow's means to the person at the terminal."""

import json
import sys

import tensorflow as tf

from mmgl_tf.machines.reasons import plain_reason
from mmgl_tf.run_directory import atomic_file
from mmgl_tf.training.guards import Diverged, Interrupted

FAIL = 3  # exit status of a run that diverged


def attempt(fit, run, distribution):
    """Train, or say why not.

    Args:
        fit: function () -> result.
        run: `RunDirectory`.
        distribution: `mmgl_tf.machines.distribution.Distribution`; only its chief speaks and writes.

    Returns:
        (exit status, result): (0, what `fit` returned), (128 + signal, None) where it was asked to stop, or
        (3, None) where it diverged.

    Raises:
        ValueError: TensorFlow failed; says why in a line.
        WorkerLost: another worker is gone.
    """
    try:
        with distribution.reporting_lost_workers():
            return 0, fit()
    except Interrupted as stopped:
        if distribution.chief:
            print(f"\n{stopped}; everything is saved in {run.root}. Give the same command again to go on.")
        return 128 + stopped.signum, None
    except Diverged as failure:
        if distribution.chief:
            return fail(run, failure), None
        print(f"\nfail, on worker {distribution.worker}: {failure}", file=sys.stderr)
        return FAIL, None
    except tf.errors.ResourceExhaustedError as error:
        raise ValueError(
            "out of memory; try --accumulate=2, a smaller batch or image, or --precision=bfloat16 "
            f"({error.message[:200]})"
        ) from error
    except tf.errors.OpError as error:
        raise ValueError(f"TensorFlow stopped the run: {plain_reason(error.message)}") from error


def fail(run, failure):
    """Write and say that a run diverged, the paper's "fail".

    Args:
        run: `RunDirectory`.
        failure: `Diverged`.

    Returns:
        3, the exit status.
    """
    with atomic_file(run.root / "summary.json", "w") as file:
        rows = run.read_metrics()
        content = {"status": failure.status, "reason": str(failure), "last": rows[-1] if rows else None}
        json.dump(content, file, indent=2)
    print(
        f"\nfail: {failure}\nA run fails, as the paper's tables have it, when a loss, gradient or weight "
        "stops being finite, or its embeddings collapse so that images cannot be told apart any more; no "
        "weights of that epoch were saved.",
        file=sys.stderr,
    )
    return FAIL
