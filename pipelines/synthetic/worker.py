"""A process that draws its share of a world's identities: python -m mmgl_tf.pipelines.synthetic.worker TASK.

TASK is a JSON object: spec (a `WorldSpec`'s fields), root, first and step (identities first,
first + step, ...).
Prints the number of images drawn, one line per identity.
"""

import json
import sys

import cv2

from .spec import DRAWING_VERSION, WorldSpec
from .write import draw_identities


def main(task):
    """Draws the share that a task describes; see the module's docstring."""
    cv2.setNumThreads(1)
    task = json.loads(task)
    fields = dict(task["spec"])
    if fields.pop("drawing_version") != DRAWING_VERSION:
        raise ValueError("The drawing code changed while a world was being drawn; start again.")
    spec = WorldSpec(**fields)
    share = range(task["first"], spec.identities + 1, task["step"])
    draw_identities(spec, task["root"], share, lambda count: print(count, flush=True))


if __name__ == "__main__":
    main(sys.argv[1])
