"""From a configuration to a compiled model."""

import keras
import tensorflow as tf

from mmgl_tf.backbones import Encoder
from mmgl_tf.finetuning import FINETUNING
from mmgl_tf.flags.config import options
from mmgl_tf.flags.methods import obstacle_to_xla, stream
from mmgl_tf.layers.full_precision import full_precision
from mmgl_tf.layers.normalization.batch_norm import synchronise
from mmgl_tf.optimizers import OPTIMIZERS
from mmgl_tf.optimizers.restarts import Restarts
from mmgl_tf.optimizers.schedules import make_schedule
from mmgl_tf.pretraining import PRETRAINING
from mmgl_tf.training.step.replicas import num_replicas

METHODS = PRETRAINING | FINETUNING


def prepare(config):
    """Set what is global to the process: seeds, determinism, precision. Before the model is built."""
    keras.utils.set_random_seed(config.run.seed)
    if config.run.deterministic:
        tf.config.experimental.enable_op_determinism()
    # Always: a process may look at several runs, one after the other.
    precision = config.optimization.precision
    # TF32 has ten bits of a fraction. Float32 trunks may use it, TensorFlow's default on a GPU; in half
    # precision only heads and losses multiply in float32, and there it would save nothing.
    tf.config.experimental.enable_tensor_float_32_execution(precision == "float32")
    keras.mixed_precision.set_global_policy(
        full_precision() if precision == "float32" else f"mixed_{precision}"
    )


def build_model(config, plan):
    """The compiled, built model that a configuration trains.

    Args:
        config: `mmgl_tf.flags.config.Config`.
        plan: `mmgl_tf.training.plan.TrainingPlan`.

    Returns:
        `mmgl_tf.training.step.model.TrainingModel`.
    """
    network, seed, method = config.network, config.run.seed, METHODS[config.run.method]
    stem_init = network.stem_init
    own = options(config)
    encoder = Encoder(network.backbone, stems(config), stem_init, seed=seed, **method.encoder_options(own))
    model = method(encoder, own, seed, plan)
    model.build_from(config.data.image_height, config.data.image_width)
    _compile(model, config, plan.steps_per_epoch)
    return model


def stems(config):
    """How many stems a run's network has, "one" or "two": fine-tuning methods decide it themselves."""
    return stream(config.run.method) if config.run.method in FINETUNING else config.network.stream


def build_embedder(config):
    """The built embedder of a fine-tuning, for images of the configuration's size; random weights."""
    method, network = FINETUNING[config.run.method], config.network
    encoder = Encoder(network.backbone, stems(config), network.stem_init, seed=config.run.seed)
    embedder = method.make_embedder(encoder, options(config), config.run.seed)
    embedder.build_from(config.data.image_height, config.data.image_width)
    return embedder


def _compile(model, config, length):
    scale = config.scale
    replicas = num_replicas()
    if replicas > 1 and scale.sync_batch_norm:
        if scale.accumulate > 1:
            raise ValueError(
                f"--accumulate={scale.accumulate} on {replicas} replicas: batch norm then sees one part of "
                "one replica's batch at a time; say that you want that with --nosync_batch_norm"
            )
        synchronise(model)
    model.accumulate = scale.accumulate
    model.compile(
        optimizer=make_optimizer(config, model, length),
        jit_compile=compiles(config, replicas),
        auto_scale_loss=False,  # the optimiser does
    )
    model.optimizer.build(model.trained_variables)


def make_optimizer(config, model, length):
    """The optimiser of a configuration, with the groups of variables that the method asks for.

    Args:
        config: `mmgl_tf.flags.config.Config`.
        model: built `TrainingModel`.
        length: steps per epoch.
    """
    optimization, stages = config.optimization, model.restarts()
    rates = [_schedule(config, length, epochs) for epochs in stages or (_period(config),)]
    schedule = Restarts(rates) if stages else rates[0]
    own = {
        "sgd": {"momentum": optimization.momentum, "nesterov": optimization.nesterov},
        "lars": {"momentum": optimization.momentum},
        "adam": {"betas": (optimization.momentum, optimization.adam_beta_2)},
    }[optimization.optimizer]
    return OPTIMIZERS[optimization.optimizer](
        schedule,
        weight_decay=optimization.weight_decay,
        decay_norms=optimization.wd_on_bn,
        decay_biases=optimization.wd_on_bias,
        global_clipnorm=optimization.clip_norm or None,
        learning_rate_multipliers=model.learning_rate_multipliers(),
        dynamic_loss_scale=optimization.precision == "float16",
        **(own | model.optimizer_options(optimization.optimizer)),
    )


def _schedule(config, length, epochs):
    """The learning rate of a run or of one of its stages.

    Args:
        config: as in `make_optimizer`.
        length: likewise.
        epochs: of the run or the stage. A stage's warm-up and milestones are at the same shares of it that
            the run's would be at.
    """
    optimization = config.optimization
    name, peak, share = optimization.lr_schedule, optimization.learning_rate, epochs / _period(config)
    more = {} if name == "step" else {"final_fraction": optimization.lr_final}
    if optimization.warmup_start:
        more["start"] = optimization.warmup_start * peak
    lower = milestones(optimization.lr_milestones)
    if share != 1.0 and name == "step":
        more["fractions"] = [epoch / _period(config) for epoch in lower if epoch < _period(config)]
    return make_schedule(name, peak, share * optimization.warmup_epochs, epochs, length, lower, **more)


def compiles(config, replicas):
    """Whether the step is compiled with XLA.

    Args:
        config: `mmgl_tf.flags.config.Config`.
        replicas: of the run.

    Raises:
        ValueError: it was asked for on replicas, where TensorFlow fails (on virtual devices; GPUs not tried).
    """
    asked = config.scale.jit_compile
    if asked == "on" and replicas > 1:
        raise ValueError(
            f"--jit_compile=on on {replicas} replicas: a step that is replicated cannot be compiled; use "
            "--jit_compile=off, or --strategy=none"
        )
    obstacle = obstacle_to_xla(config.run.method, options(config)) if config.run.method in METHODS else ""
    if asked != "auto":
        return asked == "on"
    one_gpu = replicas == 1 and len(tf.config.list_physical_devices("GPU")) > 0
    return one_gpu and not obstacle and config.scale.accumulate == 1 and not config.run.deterministic


def _period(config):
    """Epochs over which the cosine falls to 0.

    The authors' log has 80 for a fine-tuning of epochs 0 to 80: the last epoch's rate is 0.
    """
    epochs = config.optimization.epochs
    authors = config.run.mode == "finetune" and config.optimization.lr_schedule == "authors"
    return max(epochs - 1, 1) if authors else epochs


def milestones(text):
    """The epochs of --lr_milestones; `mmgl_tf.flags.validation` has checked the text."""
    return tuple(int(word) for word in text.split(",") if word.strip())
