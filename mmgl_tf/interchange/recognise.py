"""Which network a checkpoint holds, told from the names and shapes of its tensors."""

from mmgl_tf.interchange.networks.ddag import DdagNetwork
from mmgl_tf.interchange.networks.mpanet import MpaNetwork
from mmgl_tf.interchange.networks.torchvision import TorchvisionNetwork
from mmgl_tf.interchange.networks.two_stream import TwoStreamNetwork
from mmgl_tf.interchange.networks.vcd import VcdNetwork

# In this order: DDAG has all that the two-stream base has, and the last takes whatever has a ResNet.
FAMILIES = (DdagNetwork, TwoStreamNetwork, MpaNetwork, VcdNetwork, TorchvisionNetwork)
SUPPORTED = "; ".join(
    family.KNOWN for family in (TorchvisionNetwork, TwoStreamNetwork, DdagNetwork, MpaNetwork, VcdNetwork)
)


def recognise(shapes):
    """Tells the network.

    Args:
        shapes: {tensor name: shape as PyTorch has it}.

    Returns:
        `mmgl_tf.interchange.networks.network.Network`.

    Raises:
        ValueError: it is none of those that are known; says why.
    """
    try:
        return next(found for family in FAMILIES if (found := family.recognise(shapes)) is not None)
    except ValueError as error:
        raise ValueError(f"{error}. Known are {SUPPORTED}") from error
