"""One person on a canvas: which parts there are, and in which order they cover each other."""

import math
from dataclasses import dataclass
from typing import Any

from . import bags, head
from .clothes import draw_lower_body, draw_torso
from .limbs import draw_arm, draw_leg
from .pose import project, skeleton


@dataclass(frozen=True, eq=False)
class Figure:
    """A person in a stance, put into an image.

    Attributes:
        canvas: the `Canvas` to paint on.
        person: the `Person`.
        stance: the `Stance`.
        joints: dict of (column, row, depth), from `pose.project`.
        scale: pixels per body height.
        look: "visible", "infrared" or "thermal".
    """

    canvas: Any
    person: Any
    stance: Any
    joints: dict
    scale: float
    look: str

    def tone(self, material):
        """A material's colour for this camera: float32 [3, 1, 1] or [1, 1, 1]."""
        return getattr(material, self.look)

    @property
    def yaw(self):
        """View of the body in radians."""
        return self.stance.yaw

    @property
    def facing(self):
        """1 where the person faces the camera, -1 where one sees the back."""
        return math.cos(self.stance.yaw)

    def girth(self, width, depth):
        """Half-width in pixels of an elliptic body seen at this view.

        Args:
            width, depth: half-axes in body heights.
        """
        cosine, sine = math.cos(self.yaw), math.sin(self.yaw)
        return self.scale * math.sqrt((width * cosine) ** 2 + (depth * sine) ** 2)

    def between(self, first, second, share):
        """The (column, row) a share of the way between two joints."""
        a, b = self.joints[first], self.joints[second]
        return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share)


def draw_figure(canvas, person, stance, centre, ground, scale, look):
    """Paints a person, back to front.

    Args:
        canvas: a `Canvas`; painted on in place.
        person: a `Person`.
        stance: a `Stance`.
        centre, ground: column of the body's axis and row of the ground, in pixels.
        scale: pixels per body height.
        look: "visible", "infrared" or "thermal".
    """
    joints = project(skeleton(person, stance), stance.yaw, centre, ground, scale)
    figure = Figure(canvas, person, stance, joints, scale, look)
    feet = [joints[f"{part}_{side}"] for part in ("heel", "toe") for side in ("left", "right")]
    middle = sum(point[0] for point in feet) / 4
    reach = max(abs(point[0] - middle) for point in feet)
    strength = 0.2 if look == "thermal" else 0.5
    canvas.shadow((middle, ground - 0.005 * scale), (reach + 0.09 * scale, 0.03 * scale), strength)

    parts = []
    for side in ("left", "right"):
        knee, ankle = joints[f"knee_{side}"][2], joints[f"ankle_{side}"][2]
        parts.append((-2.0 + knee + 0.3 * ankle, draw_leg, (figure, side)))
        elbow, wrist = joints[f"elbow_{side}"][2], joints[f"wrist_{side}"][2]
        shoulder = joints[f"shoulder_{side}"][2]
        parts.append((0.2 * shoulder + 0.4 * (elbow + wrist) + 0.012, draw_arm, (figure, side)))
    parts.append((-1.0, draw_lower_body, (figure,)))
    parts.append((0.0, draw_torso, (figure,)))
    parts.append((head.hair_depth(figure), head.draw_hair_behind, (figure,)))
    parts.append((0.004, head.draw_head, (figure,)))
    parts.extend((depth, draw, (figure,)) for depth, draw in bags.parts(figure))
    for _, draw, arguments in sorted(parts, key=lambda part: part[0]):
        draw(*arguments)
