"""How a person stands or walks in one frame: a small three-dimensional skeleton, turned and projected.

Body coordinates are in body heights: x across, y up from the ground, z forward. At yaw 0 a person faces the
camera; at yaw pi / 2 they walk towards the right edge of the image.
"""

import math
from dataclasses import dataclass

# The camera looks down a little: what is nearer appears lower. Without it the feet of a frontal view
# would have no length.
CAMERA_PITCH = 0.17


@dataclass(frozen=True)
class Stance:
    """One frame's pose.

    Attributes:
        yaw: view in radians.
        head_turn: head against body, radians.
        head_tilt: sideways tilt of the head, radians.
        phase: gait phase in radians.
        stride: hip amplitude in radians; near 0 when standing.
        arm_swing: shoulder amplitude in radians.
        weight_shift: sideways shift of the pelvis over the standing leg, body heights.
        arms: what the left (-1) and the right (+1) arm do: "swing", "phone", "pocket",
            "strap", "carry" or "bent".
        spread: half distance of the feet beyond the hips, body heights.
    """

    yaw: float
    head_turn: float
    head_tilt: float
    phase: float
    stride: float
    arm_swing: float
    weight_shift: float
    arms: tuple[str, str]
    spread: float


def draw_yaw(dice):
    """A view: mostly front, back or side, otherwise any."""
    if dice.chance(0.35):
        return dice.uniform(-math.pi, math.pi)
    centre = dice.pick({0.0: 0.4, math.pi: 0.3, math.pi / 2: 0.15, -math.pi / 2: 0.15})
    return centre + dice.normal(0, 0.25)


def draw_stance(dice, person):
    """Draws a pose that suits a person's habits and bag.

    Args:
        dice: a `Dice` of the frame.
        person: a `Person`.

    Returns:
        A `Stance`.
    """
    yaw = draw_yaw(dice)
    walking = dice.chance(0.75)
    arms = []
    for side in (-1, 1):
        action = dice.pick({"swing": 0.8, "pocket": 0.09, "bent": 0.11})
        if person.bag_kind == "hand" and side == person.bag_side:
            action = "carry"
        elif person.bag_kind in ("shoulder", "backpack") and side == person.bag_side and dice.chance(0.22):
            action = "strap"
        arms.append(action)
    if dice.chance(0.08):
        arms[0 if person.bag_side > 0 else 1] = "phone"
    return Stance(
        yaw=yaw,
        head_turn=dice.normal(0, 0.28) if dice.chance(0.6) else 0.0,
        head_tilt=dice.normal(0, 0.05),
        phase=dice.uniform(0, 2 * math.pi),
        stride=person.stride * (dice.uniform(0.18, 0.42) if walking else dice.uniform(0.0, 0.07)),
        arm_swing=person.arm_swing * (dice.uniform(0.2, 0.55) if walking else dice.uniform(0.0, 0.12)),
        weight_shift=0.0 if walking else dice.sign() * dice.uniform(0.005, 0.028),
        arms=tuple(arms),
        spread=dice.uniform(-0.012, 0.004) if walking else dice.uniform(-0.005, 0.03),
    )


def _leg(person, stance, side, pelvis_x, hip_y):
    """Hip, knee, ankle, heel and toe of one leg."""
    swing = math.sin(stance.phase) * side
    moving = max(0.0, math.cos(stance.phase) * side)
    angle = stance.stride * swing + 0.04
    bend = 0.06 + 1.7 * stance.stride * moving
    if stance.weight_shift * side < 0:  # the leg that carries no weight
        angle += 6 * abs(stance.weight_shift)
        bend += 12 * abs(stance.weight_shift)
    upper, lower = 0.245 * person.legs, 0.235 * person.legs
    splay = stance.spread + 0.01 * moving
    hip = (pelvis_x + side * 0.05 * person.hip, hip_y, 0.0)
    knee = (
        hip[0] + side * splay * 0.5,
        hip[1] - upper * math.cos(angle),
        upper * math.sin(angle),
    )
    shin = angle - bend
    ankle = (hip[0] + side * splay, knee[1] - lower * math.cos(shin), knee[2] + lower * math.sin(shin))
    # A foot behind the body is on its toes, one in front is on its heel.
    pitch = 0.9 * min(0.0, shin) * (1.0 if stance.stride > 0.08 else 0.0) + 0.25 * max(0.0, angle) * moving
    out = person.toe_out * side
    forward = (math.sin(out) * math.cos(pitch), math.sin(pitch), math.cos(out) * math.cos(pitch))
    drop = -0.028
    heel = tuple(ankle[i] - 0.027 * forward[i] + (drop if i == 1 else 0.0) for i in range(3))
    toe = tuple(ankle[i] + 0.082 * forward[i] + (drop if i == 1 else 0.0) for i in range(3))
    return {"hip": hip, "knee": knee, "ankle": ankle, "heel": heel, "toe": toe}


def _arm(person, stance, side, shoulder):
    """Shoulder, elbow, wrist and fingers of one arm."""
    action = stance.arms[0 if side < 0 else 1]
    swing = -stance.arm_swing * math.sin(stance.phase) * side
    gap = person.arm_gap
    inward = 0.3
    if action == "phone":
        angle, bend, gap, inward = 0.45, 1.75, 0.2, 0.75
    elif action == "pocket":
        angle, bend, gap, inward = -0.3 + 0.1 * swing, 0.75, 0.3, 0.7
    elif action == "strap":
        angle, bend, gap, inward = 0.35, 2.25, 0.25, 0.5
    elif action == "carry":
        angle, bend, inward = 0.5 * swing, 0.1, 0.1
    elif action == "bent":
        angle, bend, inward = 0.5 * swing, 1.1, 0.5
    else:
        angle, bend = swing - 0.04, 0.22 + 0.7 * max(0.0, swing)
    upper, lower = 0.158, 0.135
    x, y, z = shoulder
    elbow = (
        x + side * upper * math.sin(gap),
        y - upper * math.cos(angle) * math.cos(gap),
        z + upper * math.sin(angle),
    )
    turned = gap - inward * min(1.0, bend)
    direction = (
        side * math.sin(turned),
        -math.cos(angle + bend) * math.cos(turned),
        math.sin(angle + bend) * math.cos(turned),
    )
    wrist = tuple(elbow[i] + lower * direction[i] for i in range(3))
    fingers = tuple(elbow[i] + (lower + 0.055) * direction[i] for i in range(3))
    return {"shoulder": shoulder, "elbow": elbow, "wrist": wrist, "fingers": fingers}


def skeleton(person, stance):
    """The joints of a person in a stance.

    Args:
        person: a `Person`.
        stance: a `Stance`.

    Returns:
        dict of joint name -> (x, y, z) in body heights; limb joints end in "_left" or "_right"; the lower
        foot stands on y = 0.
    """
    hip_y = 0.52 * person.legs
    pelvis_x = stance.weight_shift
    joints = {}
    for side, name in ((-1, "left"), (1, "right")):
        for part, point in _leg(person, stance, side, pelvis_x, hip_y).items():
            joints[f"{part}_{name}"] = point
    lean = person.stoop + 0.25 * stance.stride * 0.3
    torso = 0.845 - 0.52
    neck = (pelvis_x * 0.3, hip_y + torso * math.cos(lean), torso * math.sin(lean))
    joints["pelvis"] = (pelvis_x, hip_y, 0.0)
    joints["neck"] = neck
    # Shoulders turn against the hips when walking, and dip on the side that carries the weight.
    twist = 0.45 * stance.stride * math.sin(stance.phase)
    half = 0.095 * person.shoulder
    for side, name in ((-1, "left"), (1, "right")):
        dip = 0.35 * stance.weight_shift * -side
        shoulder = (
            neck[0] + side * half * math.cos(twist),
            neck[1] - 0.06 + dip,
            neck[2] - side * half * math.sin(twist),
        )
        for part, point in _arm(person, stance, side, shoulder).items():
            joints[f"{part}_{name}"] = point
    head_forward = 0.012 + 0.06 * max(0.0, person.stoop)
    joints["chin"] = (neck[0], neck[1] + 0.022, neck[2] + head_forward)
    top = 0.135 * person.head
    joints["crown"] = (
        neck[0] + math.sin(stance.head_tilt) * top,
        neck[1] + 0.022 + top,
        neck[2] + head_forward,
    )
    ground = (
        min(min(joints[f"{part}_{name}"][1] for part in ("heel", "toe")) for name in ("left", "right"))
        - 0.016
    )
    return {name: (x, y - ground, z) for name, (x, y, z) in joints.items()}


def project(joints, yaw, centre, ground, scale):
    """Turns the joints and puts them into the image.

    Args:
        joints: dict of (x, y, z) in body heights.
        yaw: view in radians.
        centre: column of the body's axis in pixels.
        ground: row of the ground in pixels.
        scale: pixels per body height.

    Returns:
        dict of (column, row, depth): pixels, pixels, and body heights towards the camera.
    """
    cosine, sine = math.cos(yaw), math.sin(yaw)
    placed = {}
    for name, (x, y, z) in joints.items():
        depth = z * cosine - x * sine
        across = x * cosine + z * sine
        placed[name] = (centre + scale * across, ground - scale * (y - CAMERA_PITCH * depth), depth)
    return placed
