"""The one custom train_step of every model here: gradient of weighted loss terms, update, running means."""

import keras
import tensorflow as tf


class TrainingModel(keras.Model):
    """An encoder with heads, trained on a weighted sum of loss terms.

    A method subclasses this and says what its loss terms are; the step itself (gradient, update, running
    means) is the same for all of them, in pre-training and in fine-tuning.

    Args:
        encoder: `mmgl_tf.backbones.Encoder`.
        seed: seed of the noise that a step draws; with the step number it decides that noise.
        term_weights: {term name: weight in the total loss}.
        measure_names: names of further per-step figures, slash-grouped.
    """

    def __init__(self, encoder, seed, term_weights, measure_names, name):
        super().__init__(name=name)
        self.encoder = encoder
        self.seed = seed
        self.term_weights = dict(term_weights)
        train_names = [
            "loss/total",
            *(f"loss/{term}" for term in term_weights),
            *measure_names,
            "gradient/norm",
        ]
        # Keras refuses slashes in the names of variables, TensorBoard wants them in the names of scalars.
        self.train_means = {name: keras.metrics.Mean(name=name.replace("/", "_")) for name in train_names}
        self.validation_means = {}

    def loss_terms(self, batch, seed):
        """The method's losses for one training batch.

        Args:
            batch: dict; the method's class says of what.
            seed: int32 [2], unique to the step.

        Returns:
            ({term: float32 scalar}, {measure name: float32 scalar}).
        """
        raise NotImplementedError

    def term_weight(self, term, step):
        """Weight of a loss term at a step; a method may switch terms on later."""
        del step
        return self.term_weights[term]

    def train_step(self, batch):
        """One gradient step on the weighted sum of the loss terms (paper Eq. 7).

        A mean that stops being finite stays so until the epoch ends; `NonFiniteGuard` stops the run on it.
        """
        step = self.optimizer.iterations
        seed = tf.stack([tf.constant(self.seed, tf.int32), tf.cast(step, tf.int32)])
        with tf.GradientTape() as tape:
            terms, measures = self.loss_terms(batch, seed)
            total = tf.add_n([self.term_weight(term, step) * value for term, value in terms.items()])
        variables = self.trainable_variables
        gradients = tape.gradient(total, variables)
        self.optimizer.apply(gradients, variables)
        figures = {"loss/total": total, "gradient/norm": tf.linalg.global_norm(gradients), **measures}
        figures |= {f"loss/{term}": value for term, value in terms.items()}
        for name, value in figures.items():
            self.train_means[name].update_state(value)
        return {name: mean.result() for name, mean in self.train_means.items()}

    def saved_layers(self):
        """{name: layer} whose weights are saved by themselves at the end of each epoch."""
        return {"encoder": self.encoder}

    @property
    def metrics(self):
        """All running means; `fit` resets them at the start of an epoch and of a validation pass."""
        return [*self.train_means.values(), *self.validation_means.values()]

    def get_metrics_result(self):
        """Unused by this model: a step returns its own slash-named results."""
        return {}
