"""Who the people are: body, hair, clothes and bag of each identity, drawn once."""

import functools
from dataclasses import dataclass

from .dice import Dice, noise_banks
from .materials import Material, draw_garment, draw_hair, draw_second_tone, draw_skin
from .patterns import LOWER_KINDS, PLAIN, UPPER_KINDS, Pattern, draw_pattern

HAIR_KINDS = {
    "short": 3.0,
    "parted": 2.0,
    "cropped": 0.8,
    "bald": 0.5,
    "long": 2.2,
    "bob": 1.5,
    "ponytail": 1.3,
    "bun": 0.8,
    "curly": 0.9,
    "cap": 1.0,
    "beanie": 0.8,
    "hood": 0.6,
}
UPPER_GARMENTS = {"tee": 2.6, "long": 2.6, "jacket": 2.0, "coat": 1.3, "vest": 0.8}
LOWER_GARMENTS = {"trousers": 2.6, "slim": 2.2, "wide": 0.8, "shorts": 1.2, "skirt": 1.0, "long_skirt": 0.7}
BAGS = {"none": 0.34, "backpack": 0.26, "shoulder": 0.20, "hand": 0.12, "waist": 0.08}


@dataclass(frozen=True, eq=False)
class Garment:
    """Cloth with up to two tones.

    Attributes:
        kind: key of `UPPER_GARMENTS` or `LOWER_GARMENTS`.
        first, second: its tones.
        pattern: where the second tone is.
    """

    kind: str
    first: Material
    second: Material
    pattern: Pattern


@dataclass(frozen=True, eq=False)
class Person:
    """One identity. Sizes are factors around 1 unless said otherwise.

    Attributes:
        height: share of the tallest person's height, .84 .. 1.
        shoulder, chest, waist, hip, legs, head, limbs: sizes of body parts.
        belly: extra depth of the belly in body heights.
        stoop: forward lean of the torso in radians.
        stride, arm_swing, arm_gap, toe_out: habits of walking and standing.
        hair_kind, hair, hat, hat_second: head.
        glasses, beard: whether worn.
        upper, inner, sleeves, lower: clothes; `sleeves` is the tone of contrasting sleeves or None.
        belt, scarf: materials or None.
        shoes, sole, shoe_height: feet; shoe_height 0 (low) .. 3 (boot).
        bag_kind, bag, bag_second, bag_side, bag_size: bag; bag_side is -1 or 1.
    """

    height: float
    shoulder: float
    chest: float
    waist: float
    hip: float
    legs: float
    head: float
    limbs: float
    belly: float
    stoop: float
    stride: float
    arm_swing: float
    arm_gap: float
    toe_out: float
    skin: Material
    hair_kind: str
    hair: Material
    hat: Material
    hat_second: Material
    glasses: bool
    beard: bool
    upper: Garment
    upper_length: float
    jacket_opening: float
    inner: Material
    sleeves: Material | None
    lower: Garment
    belt: Material | None
    scarf: Material | None
    shoes: Material
    sole: Material | None
    shoe_height: int
    bag_kind: str
    bag: Material
    bag_second: Material
    bag_side: int
    bag_size: float

    def garment_materials(self):
        """The materials of cloth and leather, without skin and hair."""
        return (
            *(self.upper.first, self.upper.second, self.lower.first, self.lower.second),
            *(self.inner, self.shoes, self.bag, self.hat),
        )


_WARMTH = {"tee": 0.66, "long": 0.58, "jacket": 0.46, "coat": 0.38, "vest": 0.44}


def _draw_garment(dice, kinds, pattern_kinds, camouflage, skin):
    kind = dice.pick(kinds)
    first = draw_garment(dice, _WARMTH.get(kind, 0.54), unlike=skin)
    second = draw_second_tone(dice, first)
    return Garment(kind, first, second, draw_pattern(dice, pattern_kinds, camouflage))


@functools.lru_cache(maxsize=256)
def draw_person(seed, identity, layout="sysu"):
    """The person with this number.

    Args:
        seed: world seed.
        identity: identity number, from 1.
        layout: of the world. Nobody lives in two, as nobody is in SYSU-MM01 and in RegDB: what is
            pre-trained on one has never seen the people of the other.

    Returns:
        A `Person`, the same at every call.
    """
    dice = Dice(seed, "person" if layout == "sysu" else f"person-{layout}", identity)
    camouflage = noise_banks(seed, 48)[2]
    stocky = dice.normal(0, 0.08)
    body = {
        "height": dice.uniform(0.84, 1.0),
        "shoulder": 1 + dice.normal(0.0, 0.075) + stocky * 0.5,
        "chest": 1 + dice.normal(0.02, 0.07) + stocky,
        "waist": 1 + dice.normal(0.0, 0.09) + stocky * 1.4,
        "hip": 1 + dice.normal(0.0, 0.075) + stocky,
        "legs": 1 + dice.normal(0.0, 0.035),
        "head": 1 + dice.normal(0.03, 0.045),
        "limbs": 1 + dice.normal(0.0, 0.08) + stocky * 0.9,
        "belly": max(0.0, dice.normal(0.0, 0.018) + stocky * 0.08),
        "stoop": max(-0.05, dice.normal(0.04, 0.06)),
        "stride": dice.uniform(0.75, 1.25),
        "arm_swing": dice.uniform(0.6, 1.3),
        "arm_gap": dice.uniform(0.05, 0.16) + max(0.0, stocky * 0.4),
        "toe_out": dice.uniform(-0.05, 0.3),
    }
    hair_kind = dice.pick(HAIR_KINDS)
    skin = draw_skin(dice)
    hat = draw_garment(dice, 0.4, unlike=skin)
    upper = _draw_garment(dice, UPPER_GARMENTS, UPPER_KINDS, camouflage, skin)
    lower = _draw_garment(dice, LOWER_GARMENTS, LOWER_KINDS, camouflage, skin)
    if lower.kind in ("skirt", "long_skirt") and lower.pattern.kind == "knee_patch":
        lower = Garment(lower.kind, lower.first, lower.second, PLAIN)
    shoes = draw_garment(dice, 0.3, unlike=skin)
    bag = draw_garment(dice, 0.14)
    return Person(
        **body,
        skin=skin,
        hair_kind=hair_kind,
        hair=draw_hair(dice),
        hat=hat,
        hat_second=draw_second_tone(dice, hat),
        glasses=dice.chance(0.15),
        beard=dice.chance(0.14) and hair_kind not in ("long", "bob", "ponytail", "bun"),
        upper=upper,
        upper_length=dice.uniform(),
        jacket_opening=dice.uniform(0.1, 0.5) if dice.chance(0.6) else 0.0,
        inner=draw_garment(dice, 0.6),
        sleeves=draw_second_tone(dice, upper.first) if dice.chance(0.2) else None,
        lower=lower,
        belt=draw_second_tone(dice, lower.first) if dice.chance(0.25) else None,
        scarf=draw_garment(dice, 0.35) if dice.chance(0.1) else None,
        shoes=shoes,
        sole=draw_second_tone(dice, shoes) if dice.chance(0.4) else None,
        shoe_height=dice.below(4),
        bag_kind=dice.pick(BAGS),
        bag=bag,
        bag_second=draw_second_tone(dice, bag),
        bag_side=dice.sign(),
        bag_size=dice.uniform(0.8, 1.25),
    )
