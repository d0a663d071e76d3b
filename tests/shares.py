"""What pytest-xdist gives to one worker: a file, and of the contracts all those of one method."""

from xdist.scheduler import LoadScopeScheduling

from mmgl_tf.flags.methods import METHODS
from tests.fast_files import ONE_UNIT


def share_of(nodeid):
    """Name of what a worker runs together.

    What a method's first steps are, all its contracts look at; a second worker would have to take them again.

    Args:
        nodeid: of a test, "path::name[parameters]".
    """
    path, _, name = nodeid.partition("::")
    if path.startswith(f"{ONE_UNIT}/"):
        parameters = name.partition("[")[2].removesuffix("]").split("-")
        of = next((word for word in parameters if word in METHODS), None)
        return f"{ONE_UNIT} of {of}" if of else path
    return path


class SharesScheduling(LoadScopeScheduling):
    """`--dist loadfile`, by `share_of`."""

    def _split_scope(self, nodeid):
        return share_of(nodeid)
