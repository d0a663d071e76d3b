"""How fast a pre-training step is, beside the same step in plain PyTorch, and where its time goes.

    python -m benchmarks.train_step [--batch 8] [--size 288x144] [--backbone resnet50] [--rounds 5]
    python -m benchmarks.train_step --method=all        # each method beside MMGL

Everything runs pinned to one core, and CPU time is counted, so that other processes are not. Ours and the
peer take turns within a round, and the ratio is taken per round, so that a change of the core's speed meets
both. The aims: in float32 at least 1.3 times the peer's images/s, in bfloat16 at least the peer's, and less
than 5 % of the step outside the trunk.
"""

import argparse
import os
import time

import keras
import numpy as np
import tensorflow as tf

from benchmarks.median_and_range import median_and_range
from mmgl_tf.backbones import BACKBONES, Encoder
from mmgl_tf.flags.config import options_type
from mmgl_tf.optimizers.torch_sgd import TorchSGD
from mmgl_tf.pipelines.records import MODALITIES
from mmgl_tf.pretraining.mmgl import Mmgl
from mmgl_tf.training.plan import TrainingPlan

PAPER_BATCH = 48
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


class GivenFeatures(keras.layers.Layer):
    """Stands for the encoder where only the heads are timed: its "images" are feature maps.

    Args:
        num_features: their channels.
    """

    def __init__(self, num_features):
        super().__init__(name="given_features")
        self.num_features = num_features

    def build_from(self, rows, columns):
        """The size of the feature maps as it is."""
        self.built = True
        return rows, columns

    def call(self, inputs, training=None):
        """Two of [B, h, w, C] -> [2B, h, w, C]."""
        return tf.concat([inputs["visible"], inputs["infrared"]], axis=0)


def drawn_batch(batch, height, width, channels=3, seed=0):
    """A random training batch.

    Args:
        batch: images per modality.
        height, width: pixels, or cells for feature maps.
        channels: 3 for images.
        seed: integer.

    Returns:
        {"visible", "infrared": float32 [batch, height, width, channels], "permutation": int32 [2 batch, 6]}.
    """
    random = np.random.default_rng(seed)
    order = np.argsort(random.random((batch, options_type("mmgl")().num_stripes)), axis=1).astype("int32")
    images = random.standard_normal((2, batch, height, width, channels), dtype="float32")
    return {"visible": images[0], "infrared": images[1], "permutation": np.concatenate([order, order])}


def build_model(backbone, height, width, precision):
    """Our model of the recipe, compiled and built."""
    model = Mmgl(Encoder(backbone, dtype=POLICIES[precision]), options_type("mmgl")(), 0, TrainingPlan())
    model.build_from(height, width)
    model.compile(optimizer=TorchSGD(0.01), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def count(model):
    """Trainable parameters."""
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def our_step(model, batch):
    """A function that takes one training step on a batch and returns the loss as a float."""
    batch = {name: tf.constant(value) for name, value in batch.items()}
    step = tf.function(lambda: model.train_step(batch), autograph=False)
    return lambda: float(step()["loss/total"])


def trunk_step(encoder, batch):
    """A function that takes one step of the trunk alone: forward, backward, update."""
    images = {name: tf.constant(batch[name]) for name in MODALITIES}
    variables = encoder.trainable_variables
    optimizer = TorchSGD(0.0)
    optimizer.build(variables)

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.cast(encoder(images, training=True), tf.float32))
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return lambda: float(step())


def heads_step(batch, precision):
    """A function that runs heads and losses alone, forward and backward to the feature map."""
    _, rows, columns, channels = batch["visible"].shape
    model = Mmgl(GivenFeatures(channels), options_type("mmgl")(), 0, TrainingPlan())
    model.build_from(rows, columns)
    dtype = keras.DTypePolicy(POLICIES[precision]).compute_dtype
    maps = {name: tf.cast(tf.constant(batch[name]), dtype) for name in MODALITIES}
    permutation = tf.constant(batch["permutation"])
    variables = [v.value for v in model.trainable_variables]

    @tf.function(autograph=False)
    def step(counter):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            terms, _ = model.loss_terms(maps | {"permutation": permutation}, tf.stack([0, counter]))
            loss = tf.add_n([model.term_weights[term] * value for term, value in terms.items()])
        gradients = tape.gradient(loss, [*variables, *maps.values()])
        return tf.add_n(
            [tf.cast(tf.reduce_max(g), tf.float32) for g in gradients]
        )  # so that none is left out

    return lambda: float(step(tf.constant(1)))


def make_peer(backbone, noise_scale=1.0):
    """The PyTorch peer of a backbone."""
    from benchmarks.peers import train_step as train_step_peer

    plan = BACKBONES[backbone]
    encoder = train_step_peer.Encoder(
        plan.block, plan.depths, plan.widths, plan.strides, plan.stem_width, plan.stem_kernel_size
    )
    return train_step_peer.Mmgl(encoder, noise_scale)


def first_losses(backbone, height, width, batch):
    """First loss of ours and of the peer, with the same weights and without Gumbel noise.

    Returns:
        (ours, peer's, our number of parameters, the peer's).
    """
    from benchmarks.peers import train_step as train_step_peer

    model = build_model(backbone, height, width, "float32")
    model.gumbel_sinkhorn.noise_scale = 0.0
    peer = make_peer(backbone, noise_scale=0.0)
    weights = {v.path.removeprefix("mmgl/"): v.numpy() for v in [*model.trainable_variables, *moving(model)]}
    train_step_peer.take_weights(peer, weights)
    inputs = (batch["visible"], batch["infrared"], batch["permutation"])
    theirs = train_step_peer.make_step(peer, *inputs, "float32")()
    return our_step(model, batch)(), theirs, count(model), sum(p.numel() for p in peer.parameters())


def moving(model):
    """Moving statistics of batch norm."""
    return [v for v in model.non_trainable_variables if v.name.startswith("moving")]


def alternate(steps, rounds):
    """CPU seconds of each function in each round; they take turns.

    Args:
        steps: {name: function without arguments}.
        rounds: turns of each, after two that do not count.

    Returns:
        {name: list of seconds}.
    """
    seconds = {name: [] for name in steps}
    for turn in range(rounds + 2):
        for name, step in steps.items():
            start = time.process_time()
            step()
            if turn >= 2:
                seconds[name].append(time.process_time() - start)
    return seconds


def compare(arguments, height, width, with_peer):
    """Prints the table of ours beside the peer."""
    batch = drawn_batch(arguments.batch, height, width)
    images = 2 * arguments.batch
    halves = f"{arguments.batch} + {arguments.batch}"
    print(f"Training step, {arguments.backbone}, {halves} images of {height}x{width}, median [least, most]:")
    print(f"  {'':<10}{'ours, images/s':>24}{'PyTorch, images/s':>24}{'ours / PyTorch':>24}")
    for precision in POLICIES:
        steps = {"ours": our_step(build_model(arguments.backbone, height, width, precision), batch)}
        if with_peer:
            from benchmarks.peers import train_step as train_step_peer

            inputs = (batch["visible"], batch["infrared"], batch["permutation"])
            peer = make_peer(arguments.backbone)
            steps["peer"] = train_step_peer.make_step(peer, *inputs, precision)
        seconds = alternate(steps, arguments.rounds)
        rates = {name: median_and_range([images / s for s in values]) for name, values in seconds.items()}
        ratio = "-"
        if with_peer:
            pairs = zip(seconds["peer"], seconds["ours"], strict=True)
            ratio = median_and_range([theirs / ours for theirs, ours in pairs])
        print(f"  {precision:<10}{rates['ours']:>24}{rates.get('peer', 'skipped'):>24}{ratio:>24}")


def shares(arguments, height, width):
    """Prints the share of the step outside the trunk, at the paper's batch."""
    plan = BACKBONES[arguments.backbone]
    maps = drawn_batch(PAPER_BATCH, height // plan.stride, width // plan.stride, plan.num_features)
    images = drawn_batch(arguments.batch, height, width)
    factor = PAPER_BATCH / arguments.batch
    print(
        f"Outside the trunk at {PAPER_BATCH} + {PAPER_BATCH} (heads and losses measured at {PAPER_BATCH} + "
        f"{PAPER_BATCH};\nthe trunk's forward, backward and update measured at {arguments.batch} + "
        f"{arguments.batch} and multiplied by {factor:g}):"
    )
    for precision in POLICIES:
        encoder = Encoder(arguments.backbone, dtype=POLICIES[precision])
        encoder.build_from(height, width)
        steps = {"heads": heads_step(maps, precision), "trunk": trunk_step(encoder, images)}
        seconds = alternate(steps, arguments.rounds)
        pairs = zip(seconds["heads"], seconds["trunk"], strict=True)
        share = median_and_range([100 * h / (h + factor * t) for h, t in pairs], "{:.1f}")
        heads = median_and_range([1000 * s for s in seconds["heads"]], "{:.0f}")
        print(f"  {precision:<10}heads and losses {heads} ms, share {share} %")


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=8, help="images per modality")
    parser.add_argument("--size", default="288x144", help="height x width, pixels")
    parser.add_argument("--backbone", default="resnet50", choices=tuple(BACKBONES))
    parser.add_argument("--rounds", type=int, default=5, help="turns of each after two that do not count")
    parser.add_argument("--method", default="", help="compare methods instead: all, or one beside MMGL")
    arguments = parser.parse_args()
    height, width = (int(number) for number in arguments.size.split("x"))

    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # before either library starts its threads
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if arguments.method:
        from benchmarks.method_steps import compare_methods

        compare_methods(arguments, height, width)
        return
    try:
        import torch

        torch.set_num_threads(1)
        peer = True
        print(f"TensorFlow {tf.__version__}, PyTorch {torch.__version__} (eager, channels last), one core")
    except ImportError:
        peer = False
        print(f"TensorFlow {tf.__version__}, one core. Peer skipped: PyTorch is not installed.")

    if peer:
        small = drawn_batch(2, height, width)
        ours, theirs, parameters, their_parameters = first_losses(arguments.backbone, height, width, small)
        print(
            f"Same weights, no noise, first loss on 2 + 2 images: ours {ours:.5f}, PyTorch {theirs:.5f}; "
            f"parameters {parameters:,} and {their_parameters:,}"
        )
        if parameters != their_parameters or abs(ours - theirs) > 1e-3 * abs(theirs):
            raise SystemExit("The peer does not compute the same thing: a ratio would mean nothing.")
    compare(arguments, height, width, peer)
    shares(arguments, height, width)


if __name__ == "__main__":
    main()
