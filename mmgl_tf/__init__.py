"""MMGL in Keras 3 on TensorFlow: encoders, losses, training, pictures.

In a checkout `flags/`, `pipelines/` and `modes/` stand beside this folder, as the design of the project has
it. Under their import names they are inside: `mmgl_tf.pipelines`. An installed copy has them inside, needs no
other name than `mmgl_tf` in site-packages, and not a line differs between the two.
"""

import sys
from importlib.machinery import PathFinder
from pathlib import Path

_HERE = Path(__file__).resolve().parent


class _Beside:
    """Finds the three folders that stand beside this one in a checkout, and nothing else there."""

    ROOMS = ("mmgl_tf.flags", "mmgl_tf.pipelines", "mmgl_tf.modes")

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        """See `importlib.abc.MetaPathFinder`."""
        return PathFinder.find_spec(name, [str(_HERE.parent)], target) if name in cls.ROOMS else None


if not (_HERE / "pipelines").is_dir():
    sys.meta_path.append(_Beside)
