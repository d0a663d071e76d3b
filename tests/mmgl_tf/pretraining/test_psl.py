"""PSL-style: three puzzles, each on a deeper part of the trunk, and what becomes of the shallower ones."""

import math

import numpy as np
import pytest

from mmgl_tf.backbones import Encoder
from mmgl_tf.figures import chance_values
from mmgl_tf.flags.config import options_type
from mmgl_tf.optimizers.torch_sgd import TorchSGD
from mmgl_tf.pretraining.psl import Psl
from mmgl_tf.training.checkpoints import collect
from mmgl_tf.training.plan import TrainingPlan

IMAGES, SIZE = 3, 48
PLAN = TrainingPlan(2, 4, IMAGES, stages=(1, 1, 2))
BEGINS = PLAN.stage_starts
TILES = ((4, 21, 21), (9, 14, 14), (9, 14, 14))
# What each stage adds to the encoder.
PARTS = (
    ("encoder/stem_visible", "encoder/stem_infrared", "encoder/layer1", "encoder/layer2"),
    ("encoder/layer3",),
    ("encoder/layer4",),
)


def options(**changes):
    few = {"psl_permutations": 4, "jigsaw_permutations": 4, "jigsaw_hidden_size": 8}
    return options_type("psl")(**few | changes)


def make_model(momentum=0.9, weight_decay=0.01, stream="two", **changes):
    model = Psl(Encoder("resnet10", stream=stream, seed=1), options(**changes), 3, PLAN)
    model.build_from(SIZE, SIZE)
    model.compile(optimizer=TorchSGD(0.05, momentum, weight_decay))
    model.optimizer.build(model.trained_variables)
    return model


def make_batch(stage):
    dice = np.random.default_rng(stage)
    tiles = {
        m: dice.standard_normal((IMAGES, *TILES[stage], 3)).astype(np.float32)
        for m in ("visible", "infrared")
    }
    return tiles | {f"tile_order_stage{stage + 1}": dice.integers(0, 4, 2 * IMAGES).astype(np.int32)}


def step_of(model, stage):
    """An eager step, the first of a stage: {name: (state before, after)} of what moved, and the figures."""
    model.optimizer.iterations.assign(BEGINS[stage])
    before = collect(model)
    for mean in model.train_means.values():
        mean.reset_state()
    figures = model.train_step(make_batch(stage))
    after = collect(model)
    moved = {
        name: (value, after[name])
        for name, value in before.items()
        if not (name.startswith("metric") or np.array_equal(value, after[name]))
    }
    return moved, {name: float(value) for name, value in figures.items()}


def weights_below(names, *places):
    return {name for name in names if name.removeprefix("weight/").startswith(places)}


@pytest.mark.parametrize("freeze", ["none", "slow", "hard"])
def test_each_stage_moves_its_part_and_its_head_alone(freeze):
    model = make_model(psl_freeze=freeze)
    trained = {f"weight/{variable.path}" for variable in model.trained_variables}
    for stage in range(3):
        moved, _ = step_of(model, stage)  # with decay, and the velocities of stages before
        parts = PARTS[stage : stage + 1] if freeze == "hard" else PARTS[: stage + 1]
        expected = (*(place for part in parts for place in part), f"tile_head_stage{stage + 1}")
        assert moved.keys() & trained == weights_below(trained, *expected)
        velocities = {name for name in moved if name.startswith("optimizer/")}
        assert len(velocities) == 1 + len(moved.keys() & trained), "and the number of the step"
        statistics = {name for name in moved if "moving" in name}
        seen = (*(place for part in PARTS[: stage + 1] for place in part), f"tile_head_stage{stage + 1}")
        assert statistics == weights_below(statistics, *seen)
        assert all(weights_below(statistics, place) for place in seen)


def test_blocks_of_former_stages_move_a_tenth_as_far():
    lengths = {}
    for freeze in ("none", "slow"):
        model = make_model(0.0, 0.0, psl_freeze=freeze)
        for stage in range(3):
            moved, _ = step_of(model, stage)
            for part, places in enumerate(PARTS):
                of_part = [moved[name] for name in weights_below(moved, *places) if "moving" not in name]
                far = sum(np.abs(after - before).sum() for before, after in of_part)
                lengths[freeze, stage, part] = far
            if stage < 2:  # the next stage from equal weights
                for variable in model.trained_variables:
                    variable.assign(moved.get(f"weight/{variable.path}", (variable,))[0])
    for stage in range(3):
        for part in range(stage + 1):
            ratio = lengths["slow", stage, part] / lengths["none", stage, part]
            assert ratio == pytest.approx(1.0 if part == stage else 0.1, rel=1e-2), (stage, part)


def test_one_stem_is_slow_too():
    model = make_model(stream="one")
    assert model.reached_variables(make_batch(0))[0].path.startswith("encoder/stem/")
    assert float(model.rate_factors(np.int64(BEGINS[1]))["encoder/stem/"]) == pytest.approx(0.1)
    assert float(model.rate_factors(np.int64(BEGINS[1] - 1))["encoder/stem/"]) == 1.0


def test_figures_are_of_the_stage_and_the_last_one_picks_the_best():
    chosen = options(psl_permutations=1000, jigsaw_permutations=64)
    chance = chance_values(Psl.figures(chosen, PLAN))
    for stage, orders in enumerate((24, 64, 1000), 1):
        assert chance[f"loss/jigsaw_stage{stage}"] == math.log(orders)
        assert chance[f"validation/accuracy/jigsaw_stage{stage}_visible"] == 1 / orders
    model = make_model()
    for stage in range(2):
        _, figures = step_of(model, stage)
        losses = {name for name in figures if name.startswith(("loss/", "accuracy/"))}
        name = f"jigsaw_stage{stage + 1}"
        assert losses == {"loss/total", f"loss/{name}", f"accuracy/{name}"}
        assert figures["stage/number"] == stage + 1
    assert model.score({"val_accuracy/jigsaw_stage2_visible": 1.0}) is None
    assert model.score({"val_accuracy/jigsaw_stage3_visible": 0.25}) == 0.25


@pytest.mark.parametrize(
    ("epochs", "shares", "lengths"),
    [
        (100, (0.25, 0.25), (25, 25, 50)),
        (12, (0.25, 0.25), (3, 3, 6)),
        (6, (0.25, 0.25), (2, 1, 3)),
        (3, (0.25, 0.25), (1, 1, 1)),
        (3, (0.9, 0.05), (1, 1, 1)),
        (10, (0.0, 0.0), (1, 1, 8)),
    ],
)
def test_stages_have_whole_epochs_and_one_at_least(epochs, shares, lengths):
    chosen = options(psl_first_share=shares[0], psl_second_share=shares[1], validation_permutations=7)
    assert Psl.stage_lengths(chosen, epochs) == lengths
    stages = Psl.stages(chosen, epochs)
    assert tuple(stage.epochs for stage in stages) == lengths
    grids = [(stage.recipe.layout.rows, len(stage.recipe.layout.permutations)) for stage in stages]
    assert grids == [(2, 24), (3, 4), (3, 4)]
    assert [stage.held_out.repeats for stage in stages] == [7, 7, 7]
    assert stages[-1].recipe == Psl.recipe(chosen)


def test_two_epochs_are_too_short():
    with pytest.raises(ValueError, match="--epochs=2 cannot hold three stages; expected at least 3"):
        Psl.stage_lengths(options(), 2)
