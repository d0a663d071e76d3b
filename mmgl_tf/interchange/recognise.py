"""Which network a checkpoint holds, told from the names and shapes of its tensors."""

from mmgl_tf.interchange.networks.torchvision import TorchvisionNetwork
from mmgl_tf.interchange.networks.two_stream import TwoStreamNetwork

# The last takes whatever has a ResNet.
FAMILIES = (TwoStreamNetwork, TorchvisionNetwork)
SUPPORTED = ", and ".join(family.KNOWN for family in reversed(FAMILIES))


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
