"""Settings of the devices that a run trains on: how many, with how much memory, compiled or not."""

from dataclasses import dataclass

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class Scale:
    """Scale: devices, machines, memory."""

    strategy: str = setting(
        "auto",
        "devices that train, among which the batch is divided: auto = all workers of TF_CONFIG, else all "
        "GPUs where there are several, else one device; none = one device; mirrored = all GPUs of this "
        "machine; multi_worker = all machines of TF_CONFIG",
        choices=("auto", "none", "mirrored", "multi_worker"),
        paper="one GPU",
        resumable=True,
    )
    sync_batch_norm: bool = setting(
        True,
        "batch norm over the images of all replicas, so that results do not depend on their number; false = "
        "over those of each replica, which is faster",
    )
    accumulate: int = setting(
        1,
        "number of parts in which a replica's batch goes through the network, to save memory: the loss is "
        "still that of the whole batch, batch norm sees one part at a time, and there is one more forward "
        "pass",
        low=1,
    )
    jit_compile: str = setting(
        "auto",
        "compile the step with XLA; auto = on one GPU with --nodeterministic, as Keras has it",
        choices=("auto", "on", "off"),
        resumable=True,
    )
