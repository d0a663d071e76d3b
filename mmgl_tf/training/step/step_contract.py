"""What a method says of itself: network, losses, what moves with a step, and how the optimiser treats it.

`TrainingModel` takes the step; a method overrides what of this it has. Everything here has a default but
`outputs` and `losses`.
"""

from mmgl_tf.pipelines.records import MODALITIES


class StepContract:
    """The parts of a training step that are a method's own.

    In this order: `outputs` (this replica's rows), gathered over replicas, `joint`, `losses`, the gradient,
    `adjusted_gradients`, the update by `rate_factors`, `after_update`; at an epoch's end `after_epoch`.
    """

    # Whose images a step shows, in the order of a batch's rows.
    modalities = MODALITIES

    def outputs(self, batch):
        """What the losses read of one training batch.

        Args:
            batch: dict; the method's class says of what. Under a strategy, this replica's rows of it.

        Returns:
            {name: tensor [2b, ...] or [b, ...]}, a row for each image, visible ones first, or of one
            modality; targets too. A loss that compares nothing across images may be an output itself, a value
            for each row, so that nothing large is gathered.
        """
        raise NotImplementedError

    def joint(self, outputs):
        """Layers with weights that act on the gathered batch; a method may have some.

        Every replica computes the same here, and the gradient counts once. Batch norm sees the global batch;
        its moving statistics move once a step, under --accumulate too. Noise must be a function of
        `step_seed`, or replicas would part.

        Args:
            outputs: as `outputs` returns them, of the global batch.

        Returns:
            {name: tensor} for `losses` and `after_update`, of any shapes.
        """
        return outputs

    def losses(self, outputs, seed):
        """The method's losses; no weight of the network acts here.

        Args:
            outputs: as `joint` returns them, of the global batch.
            seed: int32 [2], unique to the step.

        Returns:
            ({term: float32 scalar}, {measure name: float32 scalar}).
        """
        raise NotImplementedError

    def after_update(self, outputs, step):
        """State that moves with a step, after the optimiser's update: momentum copies, queues.

        Nothing is assigned here: a step that loss scaling skips must leave the state as it is. Replicas must
        arrive at the same values, so noise must be a function of the method's own seed and `step`;
        `step_seed` is the next step's by now.

        Args:
            outputs: as `joint` returned them before the update, of the global batch; under --accumulate too.
            step: int64 scalar, steps gone by before this one (0 for the first).

        Returns:
            (variable, new value) pairs. The variables may be of any type; they are not among
            `trained_variables`.
        """
        del outputs, step
        return []

    def after_epoch(self):
        """State that moves at the end of an epoch; outside the graph, on every worker alike.

        Called after the epoch's last step, before validation, probe and saving. The running means of the
        epoch (`train_means`) are still there, the same on all workers and after a resume.
        """

    @property
    def trained_variables(self):
        """What the optimiser moves, in a fixed order; what it is built with.

        A method that does not train all of its weights (a momentum copy) leaves them out here. Their layers'
        `trainable` stays True, as batch norm would use its moving statistics otherwise.
        """
        return self.trainable_variables

    def without_gradient(self):
        """How the paths of trained variables end whose gradient is 0 by construction, or rounding.

        Such as a bias whose layer batch norm follows: the norm takes it away again.
        """
        return ()

    def reached_variables(self, batch):
        """Those of `trained_variables` that the losses of a batch reach, in the same order.

        All of them, but for a method that trains in stages, whose batches tell their stage by the names in
        them. The others get no gradient in that step, and the optimiser leaves them alone: neither decay nor
        momentum moves them.

        Args:
            batch: as `outputs` gets it; read when the step is traced, so only its names and shapes are known.
        """
        del batch
        return self.trained_variables

    def adjusted_gradients(self, gradients, variables, step):
        """What the optimiser is given for the gradients; a method may change them.

        Args:
            gradients: of the scaled loss, in the order of `variables`, summed over replicas.
            variables: the `reached_variables` of the batch.
            step: int64 scalar, steps gone by.

        Returns:
            list of tensors of the same shapes. Zero is no way to freeze a variable, as decay and momentum
            would go on moving it: see `rate_factors`.
        """
        del variables, step
        return gradients

    def rate_factors(self, step):
        """{how a variable's path begins: factor on its learning rate at this step}; 0 freezes it entirely.

        The longest beginning wins; what none fits has factor 1. For what changes within a run (SwAV's
        prototypes stand still in epoch 0, blocks of an earlier stage are slow); what does not is set on the
        optimiser.

        Args:
            step: int64 scalar, steps gone by.
        """
        del step
        return {}

    def term_weight(self, term, step):
        """Weight of a loss term at a step; a method may switch terms on later."""
        del step
        return self.term_weights[term]

    def restarts(self):
        """Epochs of each stage in which the schedule of the learning rate begins anew; () = it never does."""
        return ()

    def learning_rate_multipliers(self):
        """{prefix of a variable's path: factor on the learning rate}; none where all learn alike."""
        return {}

    def judged(self, epochs):
        """Why a run should stop as collapsed, or "".

        Args:
            epochs: {epoch from 1: its row of metrics.jsonl}.
        """
        del epochs
        return ""

    def alarm(self, epochs):
        """What looks wrong but stops nothing, or "": for the log and the summary.

        Args:
            epochs: as in `judged`.
        """
        del epochs
        return ""

    def optimizer_options(self, optimizer):
        """Further arguments of the optimiser that the method wants, such as `fixed_rates`.

        Args:
            optimizer: its name in `mmgl_tf.optimizers.OPTIMIZERS`; not all take the same arguments.
        """
        del optimizer
        return {}

    @staticmethod
    def encoder_options(options):
        """Arguments of `Encoder` that the method wants, beside those that every run has.

        Args:
            options: the method's, as its constructor takes them.
        """
        del options
        return {}

    def saved_layers(self):
        """{name: layer} whose weights are saved by themselves at the end of each epoch."""
        return {"encoder": self.encoder}
