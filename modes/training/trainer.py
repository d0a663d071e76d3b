"""The one course of a training, pre-training or fine-tuning: read, build, announce, fit, draw, sum up."""

import functools

from mmgl_tf.figures import OF_EVERY_RUN
from mmgl_tf.flags.config import recorded
from mmgl_tf.modes.model import build_model
from mmgl_tf.modes.reading import data_fingerprint
from mmgl_tf.modes.training.announce import announce
from mmgl_tf.modes.training.attempt import attempt
from mmgl_tf.modes.training.begin import begin, shards_of
from mmgl_tf.modes.training.summary import summarise, write_figures
from mmgl_tf.pipelines.batches.data_wait import DataWait
from mmgl_tf.pipelines.batches.shards import WHOLE
from mmgl_tf.training.fit import Training
from mmgl_tf.visualization.curves import training_curves
from mmgl_tf.visualization.grid import write_png


class Material:
    """What a kind of training works on: images, batches, and how its weights are judged. Subclassed by both.

    Args:
        config: `mmgl_tf.flags.config.Config`.
        distribution: `mmgl_tf.machines.distribution.Distribution`.

    Attributes:
        config: as given.
        splits: `mmgl_tf.pipelines.records.DatasetSplits`.
        stores: {(split name, modality): ImageStore}.
        plan: `mmgl_tf.training.plan.TrainingPlan`.
    """

    def start(self, model, first_step):
        """Give the built model its starting weights; sentences for the announcement.

        Args:
            model: `TrainingModel`.
            first_step: 0, or the step at which a run goes on, whose weights are its checkpoint's.
        """
        del model, first_step
        return []

    def batches(self, first_step, steps, wait, shards):
        """Training batches of some steps, `tf.data.Dataset`; see `mmgl_tf.pipelines.batches.build`."""
        raise NotImplementedError

    def validation(self, shards):
        """Function (step that is about to be taken) -> dataset for `test_step`, or None."""
        del shards
        return None

    def probe(self, model, first_step):
        """A look at fixed images after each epoch, function () -> {name: figure}, or None."""
        raise NotImplementedError

    def score(self, model):
        """Function: logs of an epoch -> score of its weights, larger is better, or None; or None."""
        raise NotImplementedError

    def held_out(self):
        """Whom held-out images show, e.g. "identities never seen"; "" where nobody is held out."""
        return ""

    def at_chance(self, probe, last):
        """Why a finished run counts as failed although nothing broke, or "": nothing was learnt.

        Args:
            probe: what `probe` returned.
            last: row of the last epoch.
        """
        del probe, last
        return ""

    def pictures(self, model, probe, first_batch):
        """Pictures in the course of the run, an object with `attach(recording)` and `write(directory)`."""
        raise NotImplementedError

    def places(self, run, saving):
        """(name, text) lines on where the results are."""
        raise NotImplementedError


def train(config, material_of):
    """Run, or go on with, the training of --workdir.

    Args:
        config: `mmgl_tf.flags.config.Config`.
        material_of: function (config, distribution) -> `Material`.

    Returns:
        Exit status: 0 when the run is complete, 128 + signal where it was asked to stop, 3 where it diverged.
    """
    return begin(config, functools.partial(_train, material_of))


def _train(material_of, config, run, distribution):
    material = material_of(config, distribution)
    plan, splits, stores = material.plan, material.splits, material.stores
    with distribution.scope():
        model = build_model(config, plan)
    training = Training(model, run, config, plan, data_fingerprint(splits), distribution)
    notes = material.start(model, training.first_step)
    if distribution.chief:
        run.record(config)  # now that they fit what is there
        announce(config, splits, stores, model, training, distribution, notes)
        write_figures(run, model.shown)

    wait, shards = DataWait(), shards_of(distribution)
    validation = material.validation(shards)
    probe = material.probe(model, training.first_step)
    pictures = material.pictures(model, probe, lambda: next(iter(material.batches(0, 1, wait, WHOLE))))

    status, result = attempt(
        lambda: training.fit(
            lambda first_step, steps: material.batches(first_step, steps, wait, shards),
            validation,
            wait,
            material.score(model),
            recorded(config),
            probe=probe,
            watch=pictures.attach,
        ),
        run,
        distribution,
    )
    if status or not distribution.chief:
        return status
    rows, saving = result
    if not rows:
        raise ValueError(
            f"the run is complete, but {run.metrics_path} is missing, so there is nothing to show"
        )
    pictures.write(run.pictures)
    write_png(training_curves(rows, model.shown), run.pictures / "curves.png")
    own = [figure for figure in model.shown if figure not in OF_EVERY_RUN]
    alarm = model.alarm({row["epoch"]: row for row in rows if row["epoch"] > 0})
    at_chance = material.at_chance(probe, rows[-1])
    marks = [(name, text) for name, text in (("alarm", alarm), ("fail", at_chance)) if text]
    places = [*marks, *material.places(run, saving)]
    summarise(config, plan, run, rows, saving, own, material.held_out(), places, at_chance)
    return 0
