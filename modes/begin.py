"""How a training mode begins and ends: devices, workers, run directory, and what a lost worker means."""

import contextlib
import os
import sys

from flags.config import decisive, to_flat
from mmgl_tf.training.distribution import Distribution, WorkerLost
from mmgl_tf.training.run_directory import RunDirectory
from modes.attempt import FAIL
from modes.model import prepare
from pipelines.shards import Shards

# EX_TEMPFAIL: start all workers again with the same command, and the run goes on.
AGAIN = 75


def begin(config, train):
    """Open devices and run directory, then train.

    Args:
        config: `flags.config.Config`.
        train: function (config, `RunDirectory`, `Distribution`) -> exit status.

    Returns:
        Its exit status. Where another worker is lost the process ends at once, with 75: TensorFlow would
        wait for the lost one on an orderly way out.
    """
    distribution = Distribution(config.scale.strategy)
    try:
        run = _claimed(config, distribution)
        prepare(config)
        status = train(config, run, distribution)
        if status != FAIL:  # Diverged workers are not all at the same place.
            with contextlib.suppress(WorkerLost):
                distribution.agree()  # Nobody leaves before the chief has written everything.
        return status
    except WorkerLost as lost:
        print(
            f"\n{lost}. Start all workers again with the same command to go on from the last checkpoint in "
            f"{config.run.workdir}.",
            file=sys.stderr,
        )
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(AGAIN)


def shards_of(distribution):
    """Which parts of the batches this process makes.

    Args:
        distribution: `Distribution`.

    Returns:
        `pipelines.shards.Shards`.
    """
    return Shards(distribution.first, distribution.local, distribution.total)


def _claimed(config, distribution):
    """The run directory, claimed by the chief and seen by all."""
    if distribution.chief:
        run = RunDirectory(config.run.workdir)
        run.claim(config)
    settings = to_flat(config)
    # The batch is divided, so its settings are decisive, like all that the weights depend on.
    distribution.agree(settings=[(name, settings[name]) for name in decisive(config.run.mode)])
    if not distribution.chief:
        run = RunDirectory(config.run.workdir)
        if not run.config_path.is_file():
            raise ValueError(
                f"worker {distribution.worker} does not find the run that worker 0 made in "
                f"--workdir={config.run.workdir}; expected a directory that all machines share"
            )
    return run
