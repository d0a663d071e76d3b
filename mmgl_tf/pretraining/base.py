"""What every pre-training method shares: one custom train_step, one test_step, the metrics and the guards."""

import keras
import tensorflow as tf


class PretrainingModel(keras.Model):
    """An encoder with the heads and losses of one self-supervised method.

    A method subclasses this and says what its loss terms are; the step itself (gradient, guard against
    non-finite values, update, running means) is the same for all of them.

    A batch is a dict: `visible`, `infrared` float32 [B, H, W, 3] (normalised, stripes shuffled) and
    `permutation` int32 [2B, N] (visible images first).

    Args:
        encoder: `mmgl_tf.backbones.Encoder`.
        seed: seed of the noise that a step draws; with the step number it decides that noise.
        term_weights: {term name: weight in the total loss}.
        measure_names: names of further per-step figures, slash-grouped.
        validation_names: names of the figures that `validation_figures` returns.
    """

    def __init__(self, encoder, seed, term_weights, measure_names, validation_names, name):
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
        self.validation_means = {
            name: keras.metrics.Mean(name="validation_" + name.replace("/", "_")) for name in validation_names
        }

    def loss_terms(self, batch, seed):
        """The method's losses for one training batch.

        Args:
            batch: dict described in the class docstring.
            seed: int32 [2], unique to the step.

        Returns:
            ({term: float32 scalar}, {measure name: float32 scalar}).
        """
        raise NotImplementedError

    def validation_figures(self, batch):
        """Noise-free figures of held-out images.

        Returns:
            {name: (float32 [n] values, float32 [n] weights)}.
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

    def test_step(self, batch):
        """Weighted means of `validation_figures` over the held-out images."""
        for name, (values, weights) in self.validation_figures(batch).items():
            self.validation_means[name].update_state(values, sample_weight=weights)
        return {name: mean.result() for name, mean in self.validation_means.items()}

    @property
    def metrics(self):
        """All running means; `fit` resets them at the start of an epoch and of a validation pass."""
        return [*self.train_means.values(), *self.validation_means.values()]

    def get_metrics_result(self):
        """Unused by this model: a step returns its own slash-named results."""
        return {}
