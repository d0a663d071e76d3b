"""From a configuration to a compiled model, and to the score that picks its best encoder."""

from mmgl_tf.backbones import Encoder
from mmgl_tf.pretraining import PRETRAINING
from mmgl_tf.training.optimizers import TorchSGD
from mmgl_tf.training.schedules import make_schedule


def build_model(config, length):
    """The compiled, built model of a configuration.

    Args:
        config: `flags.config.Config`.
        length: steps per epoch.
    """
    network, optimization = config.network, config.optimization
    encoder = Encoder(network.backbone, network.stream, network.stem_init, seed=config.run.seed)
    model = PRETRAINING["mmgl"](
        encoder, config.mmgl, config.run.seed, pcc_start_step=config.mmgl.pcc_start_epoch * length
    )
    model.build_from(config.data.image_height, config.data.image_width)
    model.compile(
        optimizer=TorchSGD(
            make_schedule(
                optimization.lr_schedule,
                optimization.learning_rate,
                optimization.warmup_epochs,
                optimization.epochs,
                length,
            ),
            momentum=optimization.momentum,
            weight_decay=optimization.weight_decay,
            decay_norms_and_biases=optimization.wd_on_bn,
            global_clipnorm=optimization.clip_norm or None,
        ),
        jit_compile=optimization.jit_compile,
    )
    model.optimizer.build(model.trainable_variables)
    return model


def selection(config):
    """The score that picks the best encoder: mean over modalities of an accuracy on held-out images.

    Without permutation recovery it is the part accuracy; without either there is no score.

    Returns:
        function: logs of an epoch -> float or None.
    """
    figure = f"permutation_{config.validation.select_metric}" if config.mmgl.permutation else "part"

    def score(logs):
        found = [float(value) for name, value in logs.items() if name.startswith(f"val_accuracy/{figure}_")]
        return sum(found) / len(found) if found else None

    return score
