"""How the residual blocks start, for the methods whose authors start them as the identity."""

from dataclasses import dataclass

from mmgl_tf.flags.setting import setting


@dataclass(frozen=True)
class ResidualStart:
    """The residual blocks at the first step."""

    zero_init_residual: bool = setting(
        True,
        "start the last gamma of each residual block at 0, so that the block begins as its shortcut, as the "
        "authors' code does; false = at 1, as every other method starts",
        paper="silent",
        at_start=True,
    )
