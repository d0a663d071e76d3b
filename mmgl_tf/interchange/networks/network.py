"""What a family of networks says of a checkpoint: its name, and what each of its tensors is for."""

from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True)
class Network:
    """A network that a checkpoint holds; each family is a subclass.

    Attributes:
        KNOWN: the family, for people who ask what can be imported.
        METHODS: keys of `mmgl_tf.finetuning.FINETUNING` that train a network of this family.
        name: of the network, for people.
        backbone: key of `mmgl_tf.backbones.BACKBONES`.
        stems: 1 or 2.
        method: key of `mmgl_tf.finetuning.FINETUNING` for a fine-tuned network, "" for an encoder alone.
        settings: {setting: value} of that method that the tensors show.
        identities: how many people it was trained on, 0 where a family does not say.
    """

    KNOWN: ClassVar = ""
    METHODS: ClassVar = ()

    name: str
    backbone: str
    stems: int
    method: str = ""
    settings: dict = field(default_factory=dict)
    identities: int = 0

    @property
    def methods(self):
        """The methods that train this very network, under these very names; the first is `method`."""
        return (self.method,) if self.method else ()

    @classmethod
    def recognise(cls, shapes):
        """The network of this family that a checkpoint holds.

        Args:
            shapes: {tensor name: shape as PyTorch has it}.

        Returns:
            An instance, or None where the family's marks are absent.

        Raises:
            ValueError: they are there, but not on a network that is known; says why.
        """
        raise NotImplementedError

    def pairs(self, encoder, embedder=None):
        """Every variable with the name of its tensor.

        Args:
            encoder: built `mmgl_tf.backbones.Encoder`.
            embedder: the built embedder around it where `method` is set, else None.

        Returns:
            list of (name, variable) in the variables' order. A name may come twice: its tensor fills both
            variables.
        """
        raise NotImplementedError

    def necks(self, embedder):
        """{what the tensors' names begin with: the neck}; each has an offset there, which ours has not."""
        del embedder
        return {}

    def kind(self, name):
        """What a tensor is that fills no variable; see `mmgl_tf.interchange.fill.Filled.unexpected`."""
        raise NotImplementedError

    def is_foreign(self, name):
        """Whether a tensor of the kind "unknown" makes the checkpoint another network than this one."""
        del name
        return bool(self.method)

    def notes(self):
        """Sentences on what a user of the imported run may not expect."""
        return ()
