"""Settings of the devices that a run trains on: how many, with how much memory, compiled or not."""

from dataclasses import dataclass

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Scale:
    """Scale: devices, machines, memory."""

    strategy: str = setting(
        "auto",
        "auto = all workers of TF_CONFIG, else all GPUs where there are several, else none; mirrored = all "
        "GPUs of this machine; multi_worker = all machines of TF_CONFIG. The batch is divided among them",
        choices=("auto", "none", "mirrored", "multi_worker"),
        paper="one GPU",
        resumable=True,
    )
    sync_batch_norm: bool = setting(
        True,
        "batch norm over the batch of all replicas, so that their number changes nothing; false = each "
        "replica by itself, as fast as PyTorch's default",
    )
    accumulate: int = setting(
        1,
        "parts that a replica's batch goes through the network in, one after the other: less memory, one "
        "more forward pass, the loss still of the whole batch; batch norm sees a part at a time",
        low=1,
    )
    jit_compile: str = setting(
        "auto",
        "compile the step with XLA; auto = on one GPU with --nodeterministic, as Keras has it",
        choices=("auto", "on", "off"),
        resumable=True,
    )
