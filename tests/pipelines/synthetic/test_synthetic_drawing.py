import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import spearmanr

from mmgl_tf.pipelines.synthetic import materials, people
from mmgl_tf.pipelines.synthetic.dice import Dice
from mmgl_tf.pipelines.synthetic.draw import draw_image
from mmgl_tf.pipelines.synthetic.pose import Stance, project, skeleton
from mmgl_tf.pipelines.synthetic.spec import WorldSpec

SPEC = WorldSpec(seed=3, train_identities=6, validation_identities=2, test_identities=4, height=96)


def digest(pixels):
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


@pytest.mark.parametrize("layout", ["sysu", "regdb"])
def test_an_image_does_not_depend_on_what_was_drawn_before(layout):
    spec = WorldSpec(**{**vars(SPEC), "layout": layout})
    numbers = [
        (identity, camera, frame) for identity in (1, 5) for camera in spec.cameras for frame in (1, 2)
    ]
    forward = {n: digest(draw_image(spec, *n)) for n in numbers}
    backward = {n: digest(draw_image(spec, *n)) for n in reversed(numbers)}
    assert forward == backward
    assert len(set(forward.values())) == len(numbers)


def test_another_process_draws_the_same_image():
    code = (
        "import sys, hashlib; from mmgl_tf.pipelines.synthetic import WorldSpec, draw_image;"
        f"sys.stdout.write(hashlib.sha256(draw_image({SPEC!r}, 7, 3, 2).tobytes()).hexdigest())"
    )
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "17",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout == digest(draw_image(SPEC, 7, 3, 2))


def test_the_person_does_not_depend_on_the_number_of_identities():
    larger = WorldSpec(**{**vars(SPEC), "test_identities": 40, "frames": 9})
    assert digest(draw_image(SPEC, 2, 1, 1)) == digest(draw_image(larger, 2, 1, 1))
    other = WorldSpec(**{**vars(SPEC), "seed": 4})
    assert digest(draw_image(SPEC, 2, 1, 1)) != digest(draw_image(other, 2, 1, 1))


@pytest.mark.parametrize("height", [48, 96, 192, 256])
def test_images_have_the_asked_size_and_use_the_range(height):
    spec = WorldSpec(**{**vars(SPEC), "height": height})
    for camera in spec.cameras:
        pixels = draw_image(spec, 1, camera, 1)
        assert pixels.shape == (height, height // 2, 3)
        assert pixels.dtype == np.uint8
        assert pixels.std() > 12


def test_infrared_images_are_grey_and_visible_ones_are_not():
    for camera in SPEC.cameras:
        pixels = draw_image(SPEC, 3, camera, 1).astype(int)
        same = bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all())
        assert same == (camera in (3, 6))


def test_numbers_out_of_range_are_named():
    with pytest.raises(ValueError, match="identity is 13; this world has the identities 1 to 12"):
        draw_image(SPEC, 13, 1, 1)
    with pytest.raises(ValueError, match="camera is 7"):
        draw_image(SPEC, 1, 7, 1)
    with pytest.raises(ValueError, match="frame is 0"):
        draw_image(SPEC, 1, 1, 0)


def tones(count=250):
    found = [m for i in range(1, count + 1) for m in people.draw_person(0, i).garment_materials()]
    return [m.luminance for m in found], [m.infrared.item() for m in found], [m.thermal.item() for m in found]


def test_infrared_reflectance_is_independent_of_visible_luminance():
    people.draw_person.cache_clear()
    luminance, infrared, thermal = tones()
    # 2,000 materials: the standard deviation of a rank correlation of independent values is .022.
    assert abs(spearmanr(luminance, infrared).statistic) < 0.08
    assert abs(spearmanr(luminance, thermal).statistic) < 0.08
    assert np.std(infrared) > 0.15
    cloth = [people.draw_person(0, i).upper.first.infrared.item() for i in range(1, 251)]
    assert np.std(cloth) > 0.18  # uniform on .12 .. .88


def test_tied_reflectance_would_be_noticed(monkeypatch):
    original = materials._material

    def tied(colour, infrared, thermal):
        return original(colour, float(np.mean(colour)), thermal)

    monkeypatch.setattr(materials, "_material", tied)
    people.draw_person.cache_clear()
    luminance, infrared, _ = tones(40)
    people.draw_person.cache_clear()
    assert spearmanr(luminance, infrared).statistic > 0.8


def test_two_tone_cloth_keeps_an_infrared_contrast_of_either_sign():
    visible, infrared = [], []
    for i in range(600):
        dice = Dice(0, "test", i)
        first = materials.draw_garment(dice)
        second = materials.draw_second_tone(dice, first)
        visible.append(second.luminance - first.luminance)
        infrared.append(second.infrared.item() - first.infrared.item())
    visible, infrared = np.array(visible), np.array(infrared)
    assert 0.07 < np.mean(np.abs(infrared) < 0.1) < 0.18  # dyes that fade out
    assert np.mean(np.abs(infrared) >= 0.18) > 0.8
    inverted = np.mean(np.sign(visible) != np.sign(infrared))
    assert 0.42 < inverted < 0.58


def stance(**changes):
    values = {"yaw": 0.0, "head_turn": 0.0, "head_tilt": 0.0, "phase": 1.2, "stride": 0.4, "arm_swing": 0.4}
    values |= {"weight_shift": 0.0, "arms": ("swing", "swing"), "spread": 0.0}
    return Stance(**{**values, **changes})


@pytest.mark.parametrize("phase", np.linspace(0, 6.2, 9))
def test_the_lower_foot_stands_on_the_ground_and_limbs_keep_their_length(phase):
    person = people.draw_person(0, 1)
    walking = skeleton(person, stance(phase=float(phase)))
    standing = skeleton(person, stance(stride=0.0, arm_swing=0.0))
    feet = [walking[f"{part}_{side}"][1] for part in ("heel", "toe") for side in ("left", "right")]
    assert min(feet) == pytest.approx(0.016)

    def length(joints, a, b):
        return float(np.linalg.norm(np.subtract(joints[a], joints[b])))

    for a, b in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")):
        for side in ("left", "right"):
            names = (f"{a}_{side}", f"{b}_{side}")
            assert length(walking, *names) == pytest.approx(length(standing, *names), rel=0.03)


def test_legs_swing_against_each_other_and_arms_against_legs():
    person = people.draw_person(0, 1)
    joints = skeleton(person, stance(phase=np.pi / 2))
    legs = joints["knee_right"][2] - joints["knee_left"][2]
    arms = joints["wrist_right"][2] - joints["wrist_left"][2]
    assert legs > 0.1
    assert arms < -0.05


def test_a_turned_person_shows_the_other_side():
    joints = skeleton(people.draw_person(0, 1), stance())
    front = project(joints, 0.0, 48, 180, 160)
    back = project(joints, np.pi, 48, 180, 160)
    assert front["shoulder_left"][0] < 48 < front["shoulder_right"][0]
    assert back["shoulder_right"][0] < 48 < back["shoulder_left"][0]
    side = project(joints, np.pi / 2, 48, 180, 160)
    assert side["toe_left"][0] > side["heel_left"][0]
    assert side["shoulder_left"][2] > side["shoulder_right"][2]  # the left side is the near one
