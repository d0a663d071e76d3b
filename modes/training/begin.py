"""How a training mode begins and ends: devices, workers, run directory, and what a lost worker means."""

import contextlib
import os
import sys

from mmgl_tf.flags.config import decisive, to_flat
from mmgl_tf.machines.distribution import Distribution, WorkerLost
from mmgl_tf.modes.model import prepare
from mmgl_tf.modes.training.attempt import FAIL
from mmgl_tf.pipelines.batches.shards import Shards
from mmgl_tf.run_directory import RunDirectory

# EX_TEMPFAIL: start all workers again with the same command, and the run goes on.
AGAIN = 75


def begin(config, train):
    """Open devices and run directory, then train.

    Args:
        config: `mmgl_tf.flags.config.Config`.
        train: function (config, `RunDirectory`, `Distribution`) -> exit status.

    Returns:
        Its exit status. Where another worker is lost the process ends at once, with 75: TensorFlow would
        wait for the lost one on an orderly way out.
    """
    try:
        distribution = Distribution(config.scale.strategy)
        # All of it: to make a variable is a message between workers already.
        with distribution.reporting_lost_workers():
            _judge_shares(config, distribution)
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
        `mmgl_tf.pipelines.batches.shards.Shards`.
    """
    return Shards(distribution.first, distribution.local, distribution.total)


def _judge_shares(config, distribution):
    """Refuses a batch that the replicas and their parts do not divide, before any image is read."""
    if config.run.mode == "finetune":
        options = config.finetuning
        batch, setting = options.identities_per_batch * options.images_per_identity, "--identities_per_batch"
    else:
        batch, setting = config.optimization.batch_size, "--batch_size"
    rows = shards_of(distribution).rows_per_replica(batch, setting)
    parts = config.scale.accumulate
    if rows % parts:
        raise ValueError(
            f"--accumulate={parts} does not divide the {rows} images per modality that each of "
            f"{distribution.total} replicas has of the batch of {batch}; use a divisor of {rows}"
        )


def _claimed(config, distribution):
    """The run directory, claimed by the chief and seen by all."""
    if distribution.chief:
        run = RunDirectory(config.run.workdir)
        run.claim(config)
    settings = to_flat(config)
    distribution.agree(**{name: settings[name] for name in decisive(config.run.mode, config.run.method)})
    if not distribution.chief:
        run = RunDirectory(config.run.workdir)
        if not run.config_path.is_file():
            raise ValueError(
                f"worker {distribution.worker} does not find the run that worker 0 made in "
                f"--workdir={config.run.workdir}; expected a directory that all machines share"
            )
    return run
