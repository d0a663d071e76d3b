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


def network_of(method, backbone, stems):
    """The network of a method's reference, for the names that its tensors have there.

    Args:
        method: key of `mmgl_tf.finetuning.FINETUNING`.
        backbone: key of `mmgl_tf.backbones.BACKBONES`.
        stems: 1 or 2.

    Returns:
        `mmgl_tf.interchange.networks.network.Network`, or None: no network of that method is public.
    """
    family = next((family for family in FAMILIES if method in family.METHODS), None)
    return family and family(method, backbone, stems, method)
