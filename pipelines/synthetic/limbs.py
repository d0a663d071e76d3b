"""Legs and arms, bare or in their clothes, with shoes and hands."""

from .clothes import FOLD, cloth
from .materials import tinted
from .tubes import profile


def _shoe(figure, side):
    person, canvas, scale = figure.person, figure.canvas, figure.scale
    joints = figure.joints
    heel, toe, ankle = joints[f"heel_{side}"], joints[f"toe_{side}"], joints[f"ankle_{side}"]
    wide = 0.026 * scale
    tone = figure.tone(person.shoes)
    sole = figure.tone(person.sole) if person.sole is not None else figure.tone(tinted(person.shoes, 0.6))
    drop = 0.012 * scale
    canvas.limb((heel[0], heel[1] + drop), (toe[0], toe[1] + drop), (0.8 * wide, 0.74 * wide), sole, halo=0.6)
    canvas.limb(heel, toe, (0.92 * wide, wide, 0.72 * wide), tone, halo=0.3)
    if person.shoe_height:
        top = figure.between(f"ankle_{side}", f"knee_{side}", 0.16 * person.shoe_height)
        canvas.limb((ankle[0], ankle[1] + 0.01 * scale), top, (0.029 * scale, 0.033 * scale), tone, halo=0.2)


def draw_leg(figure, side):
    """Thigh, shin and shoe of one leg, in trousers, shorts or bare under a skirt."""
    person, canvas, scale = figure.person, figure.canvas, figure.scale
    hip, knee, ankle = (figure.joints[f"{part}_{side}"] for part in ("hip", "knee", "ankle"))
    kind = person.lower.kind
    thick = scale * person.limbs
    covered = kind in ("trousers", "slim", "wide")
    skin = figure.tone(person.skin)
    fold = FOLD[figure.look]
    boots_outside = person.shoe_height == 3 and kind in ("slim", "shorts", "skirt")
    if not boots_outside:
        _shoe(figure, side)
    if covered:
        thigh = {
            "slim": (0.056, 0.049, 0.036),
            "trousers": (0.06, 0.053, 0.043),
            "wide": (0.062, 0.06, 0.056),
        }[kind]
        shin = {
            "slim": (0.036, 0.034, 0.026),
            "trousers": (0.043, 0.039, 0.034),
            "wide": (0.056, 0.057, 0.06),
        }[kind]
        lower = cloth(figure, person.lower, figure.yaw, 0.56, 1.0)
        upper = cloth(figure, person.lower, figure.yaw, 0.1, 0.6)
        cuff = figure.between(f"ankle_{side}", f"knee_{side}", 0.04)
        canvas.limb(knee, cuff, [w * thick for w in shin], lower, fold=1.4 * fold, halo=0.5)
        canvas.limb(hip, knee, [w * thick for w in thigh], upper, fold=fold, halo=0.0)
    else:
        canvas.limb(knee, ankle, [w * thick for w in (0.033, 0.036, 0.023)], skin, halo=0.5)
        canvas.limb(hip, knee, [w * thick for w in (0.05, 0.045, 0.033)], skin, halo=0.0)
    if boots_outside:
        _shoe(figure, side)
    if kind == "shorts":
        end = figure.between(f"hip_{side}", f"knee_{side}", 0.86)
        table = profile((0.0, 0.4, 1.0), [w * thick for w in (0.058, 0.06, 0.06)])
        canvas.tube(hip, end, table, cloth(figure, person.lower, figure.yaw, 0.1, 1.0), fold=fold, halo=0.4)


def draw_arm(figure, side):
    """Upper arm, forearm and hand of one arm, with its sleeve, and what the hand holds."""
    person, canvas, scale = figure.person, figure.canvas, figure.scale
    shoulder, elbow, wrist, fingers = (
        figure.joints[f"{part}_{side}"] for part in ("shoulder", "elbow", "wrist", "fingers")
    )
    action = figure.stance.arms[0 if side == "left" else 1]
    thick = scale * person.limbs
    kind = person.upper.kind
    skin = figure.tone(person.skin)
    loose = {"tee": 1.0, "long": 1.05, "jacket": 1.22, "coat": 1.28, "vest": 1.05}[kind]
    if kind == "vest":
        sleeve = figure.tone(person.inner)
    else:
        sleeve = cloth(figure, person.upper, figure.yaw, 0.12, 0.6, first=person.sleeves, sleeve=True)
    fold = FOLD[figure.look]
    bare = kind == "tee"
    hand_first = action == "phone"
    upper_widths = [w * thick * loose for w in (0.029, 0.033, 0.028)]
    fore_widths = [w * thick * loose for w in (0.028, 0.027, 0.022)]

    def hand():
        if action != "pocket":
            canvas.limb(
                wrist, fingers, (0.018 * scale, 0.021 * scale, 0.014 * scale), skin, halo=0.8, fade=True
            )
        if hand_first:
            tip = (fingers[0], fingers[1] - 0.035 * scale)
            canvas.limb(fingers, tip, (0.014 * scale, 0.014 * scale), figure.tone(person.bag) * 0.4)

    if bare:
        canvas.limb(elbow, wrist, [w * thick for w in (0.027, 0.026, 0.018)], skin, halo=1.2, fade=True)
        canvas.limb(shoulder, elbow, [w * thick for w in (0.03, 0.029, 0.027)], skin, halo=1.2, fade=True)
        hand()
        end = figure.between(f"shoulder_{side}", f"elbow_{side}", 0.72)
        canvas.limb(
            shoulder, end, [w * thick for w in (0.03, 0.035, 0.038)], sleeve, fold=fold, halo=1.0, fade=True
        )
        return
    if not hand_first:
        hand()
    canvas.limb(shoulder, elbow, upper_widths, sleeve, fold=1.5 * fold, halo=1.2, fade=True)
    lower = (
        cloth(figure, person.upper, figure.yaw, 0.55, 0.95, first=person.sleeves, sleeve=True)
        if kind != "vest"
        else sleeve
    )
    canvas.limb(
        elbow,
        figure.between(f"wrist_{side}", f"elbow_{side}", 0.04),
        fore_widths,
        lower,
        fold=1.5 * fold,
        halo=1.2,
    )
    if hand_first:
        hand()
