"""The one custom train_step of every model here: gradient of weighted loss terms, update, running means."""

import keras
import tensorflow as tf

from mmgl_tf.layers.gathered_batch import gathered_batch
from mmgl_tf.training.step.accumulation import accumulated_gradients
from mmgl_tf.training.step.replicas import gather_rows, images_in, num_replicas, share_of_loss, sum_gradients
from mmgl_tf.training.step.running_mean import RunningMean
from mmgl_tf.training.step.state import move_state
from mmgl_tf.training.step.step_contract import StepContract


class TrainingModel(StepContract, keras.Model):
    """An encoder with heads, trained on a weighted sum of loss terms.

    A method subclasses this and says what its network puts out for a batch (`outputs`) and what its losses
    make of that (`losses`); the step itself (gradient, update, running means) is the same for all of them,
    in pre-training and in fine-tuning, on one device or on many. Where a method has more, it says so too:

        outputs -> [rows of all replicas] -> joint -> losses -> gradient -> update -> after_update

    and, at the end of an epoch, `after_epoch`. State that decides the future (a momentum copy, a queue, a
    weight that an epoch sets) belongs in variables of the model, as only these are saved and resumed.

    Args:
        encoder: `mmgl_tf.backbones.Encoder`.
        seed: seed of the noise that a step draws; with the step number it decides that noise.
        term_weights: {term name: weight in the total loss}.
        measure_names: names of further per-step figures, slash-grouped.

    Attributes:
        accumulate: parts of a replica's batch that go through the network one after the other, see
            `mmgl_tf.training.step.accumulation`; set it before the first step.
        stop_requested: of this process, assigned between steps: not 0 = it was asked to stop.
        stop_votes: how many replicas had that request in the last step; the same on all of them.
    """

    def __init__(self, encoder, seed, term_weights, measure_names, name):
        super().__init__(name=name)
        self.encoder = encoder
        self.seed = seed
        self.term_weights = dict(term_weights)
        self.accumulate = 1
        train_names = [
            "loss/total",
            *(f"loss/{term}" for term in term_weights),
            *measure_names,
            "gradient/norm",
        ]
        # Keras refuses slashes in the names of variables, TensorBoard wants them in the names of scalars.
        self.train_means = {name: RunningMean(name.replace("/", "_")) for name in train_names}
        self.validation_means = {}
        # No weights: they decide nothing that is saved.
        own = {
            "trainable": False,
            "synchronization": tf.VariableSynchronization.ON_READ,
            "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA,
        }
        self._stop = {name: tf.Variable(0.0, name=f"stop_{name}", **own) for name in ("requested", "votes")}

    def compile(self, *args, **kwargs):
        """As Keras's; with a loss scale, its mean and the share of skipped steps are figures too."""
        super().compile(*args, **kwargs)
        if self.optimizer.dynamic_loss_scale:
            for name in ("loss_scale/scale", "loss_scale/skipped"):
                self.train_means[name] = RunningMean(name.replace("/", "_"))

    @property
    def stop_requested(self):
        """See the class."""
        return self._stop["requested"]

    @property
    def stop_votes(self):
        """See the class."""
        return self._stop["votes"]

    def step_seed(self):
        """int32 [2], unique to the step: of the run, and of the step."""
        return tf.stack([tf.constant(self.seed, tf.int32), tf.cast(self.optimizer.iterations, tf.int32)])

    def joined(self, outputs):
        """`joint`, of gathered outputs."""
        with gathered_batch():
            return self.joint(outputs)

    def loss_terms(self, batch, seed):
        """The losses of a batch (of the global one, under a strategy); arguments and result as above."""
        return self.losses(self.joined(gather_rows(self.outputs(batch), images_in(batch))), seed)

    def weighted_losses(self, outputs, seed, step):
        """(scaled total to differentiate, {figure name: value}) of joint outputs."""
        terms, measures = self.losses(outputs, seed)
        weights = {term: tf.cast(self.term_weight(term, step), value.dtype) for term, value in terms.items()}
        total = tf.add_n([weights[term] * value for term, value in terms.items()])
        figures = {"loss/total": total, **measures, **{f"loss/{term}": v for term, v in terms.items()}}
        return self.optimizer.scale_loss(total), figures

    def train_step(self, batch):
        """One gradient step on the weighted sum of the loss terms (paper Eq. 7).

        A mean that stops being finite stays so until the epoch ends; `NonFiniteGuard` stops the run on it.
        """
        step = tf.convert_to_tensor(self.optimizer.iterations)  # read now: the update counts it up
        seed, images, variables = self.step_seed(), images_in(batch), self.reached_variables(batch)

        def share(local):
            """This replica's share of the loss, and what else comes of its outputs."""
            outputs = self.joined(self.gather(local, images))
            scaled, figures = self.weighted_losses(outputs, seed, step)
            return share_of_loss(scaled), (outputs, figures)

        if self.accumulate > 1:
            gradients, (outputs, figures) = accumulated_gradients(self, batch, self.accumulate, share)
        else:
            with tf.GradientTape() as tape:
                loss, (outputs, figures) = share(self.outputs(batch))
            gradients = tape.gradient(loss, variables)
        _require_all(gradients, variables)
        gradients = sum_gradients(gradients, variables)
        figures["gradient/norm"], counts = self.optimizer.unscaled_norm(gradients)
        if self.optimizer.loss_scale:
            figures["loss_scale/scale"] = tf.identity(self.optimizer.loss_scale.scale)  # of this step
            figures["loss_scale/skipped"] = 1.0 - counts
        gradients = self.adjusted_gradients(gradients, variables, step)
        taken = self.optimizer.apply(gradients, variables, self.rate_factors(step))
        move_state(self.after_update(outputs, step), taken)
        for name, value in figures.items():
            self.train_means[name].update_state(value, counts if name == "gradient/norm" else None)
        return {name: self.train_means[name].result() for name in figures}

    def gather(self, outputs, images=None):
        """`gather_rows`, and with them the requests to stop: they cost no message of their own."""
        if num_replicas() == 1:
            return gather_rows(outputs, images)
        rows = tf.shape(next(iter(outputs.values())))[0]
        requested = tf.fill([rows, 1], self.stop_requested)
        gathered = gather_rows(outputs | {"stop/requested": requested}, images)
        self.stop_votes.assign(tf.reduce_sum(gathered.pop("stop/requested")) / tf.cast(rows, tf.float32))
        return gathered

    def make_train_function(self, force=False):
        """Keras's own averages what replicas return, which fails across workers; ours are equal anyway."""
        if self.distribute_strategy.num_replicas_in_sync == 1:
            super().make_train_function(force)
        elif force or self.train_function is None:
            self.train_function = _replicated(self.distribute_strategy, self.train_step)

    def make_test_function(self, force=False):
        """As `make_train_function`."""
        if self.distribute_strategy.num_replicas_in_sync == 1:
            super().make_test_function(force)
        elif force or self.test_function is None:
            self.test_function = _replicated(self.distribute_strategy, self.test_step)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Nothing: everything is built before `fit`, and Keras's way reads a batch across workers."""

    @property
    def metrics(self):
        """All running means; `fit` resets them at the start of an epoch and of a validation pass."""
        return [*self.train_means.values(), *self.validation_means.values()]

    def get_metrics_result(self):
        """Unused by this model: a step returns its own slash-named results."""
        return {}


def _require_all(gradients, variables):
    """A trained variable that the losses do not reach is a mistake of the method's."""
    missing = [v.path for g, v in zip(gradients, variables, strict=True) if g is None]
    if missing:
        raise ValueError(
            f"no loss reaches {len(missing)} of {len(variables)} trained variables, such as {missing[0]}; "
            "expected a gradient for each. Leave them out of `trained_variables` (or of `reached_variables`, "
            "where other batches reach them), or do not make them."
        )


def _replicated(strategy, step):
    """A step on all replicas: iterator -> {name: what the first replica of this process returned}."""

    @tf.function(autograph=False)
    def run(iterator):
        results = strategy.run(step, args=(next(iterator),))
        return {name: strategy.experimental_local_results(value)[0] for name, value in results.items()}

    return run
