"""What methods share that put shuffled images in order."""

from dataclasses import dataclass

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class HeldOutOrders:
    """Orders in which held-out images are shown."""

    validation_permutations: int = setting(
        4, "number of fixed orders of stripes or tiles in which each held-out image is shown", low=1
    )
