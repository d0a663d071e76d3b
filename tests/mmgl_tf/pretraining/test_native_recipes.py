"""--recipe=native in numbers, at 48 + 48 images and 100 epochs: authors' values, beside the code's."""

from types import SimpleNamespace

import pytest

from mmgl_tf.flags.config import from_flat, options
from mmgl_tf.flags.resolution import resolve
from mmgl_tf.pipelines.augmentation.operations.gaussian_blur import GaussianBlur
from mmgl_tf.pipelines.augmentation.operations.solarise import Solarise
from mmgl_tf.pretraining import PRETRAINING

# What recipes have alike, unless they say otherwise.
USUAL = {
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "momentum": 0.9,
    "nesterov": False,
    "lr_schedule": "offset",
    "lr_final": 0.0,
    "warmup_epochs": 0.0,
    "warmup_start": 0.0,
    "wd_on_bn": True,
    "wd_on_bias": True,
    "clip_norm": 0.0,
    "batch_size": 48,
    "epochs": 100,
}
SPARED = {"wd_on_bn": False, "wd_on_bias": False}
JIGSAW = {
    "learning_rate": 0.0375,  # 0.1 at 256 images
    "weight_decay": 1e-4,
    "wd_on_bn": False,
    "lr_schedule": "step",
    "lr_milestones": "30,60,90",
    "warmup_epochs": 5.0,
    "warmup_start": 0.25,
}
SETTINGS = {
    "simclr": {"optimizer": "lars", "learning_rate": 0.1125, "weight_decay": 1e-4, "warmup_epochs": 10.0}
    | SPARED,
    "swav": {"optimizer": "lars", "learning_rate": 0.225, "weight_decay": 1e-6, "lr_final": 0.001},
    "byol": {"optimizer": "lars", "learning_rate": 0.16875, "weight_decay": 1e-6, "warmup_epochs": 10.0}
    | SPARED,
    "simsiam": {"learning_rate": 0.01875, "weight_decay": 1e-4},
    "barlow_twins": {
        "optimizer": "lars",
        "learning_rate": 0.075,
        "weight_decay": 1e-6,
        "warmup_epochs": 10.0,
        "lr_final": 0.001,
    }
    | SPARED,
    "jigsaw": JIGSAW,
    "psl": JIGSAW,
    "colorization": {
        "optimizer": "adam",
        "learning_rate": 3e-4,
        "adam_beta_2": 0.99,
        "weight_decay": 1e-3,
    },
}
# What a method has the optimiser do, and how it puts its parts together.
OWN = {
    "simclr": {"simclr_temperature": 0.2, "view_joint": False},
    "swav": {
        "form": "larc",
        "adapt_vectors": True,
        "view_joint": True,
        "swav_queue_size": 3840,
        "swav_queue_start_epoch": 15,
        "swav_frozen_epochs": 1,
    },
    "byol": {"byol_momentum": 0.99, "view_joint": False},
    "simsiam": {"fixed_rates": ("predictor/",), "view_joint": False},
    # 0.0018 / 0.075
    "barlow_twins": {"vector_multiplier": 0.024, "barlow_twins_scale": 1.0, "view_joint": False},
    "jigsaw": {"jigsaw_grey": 0.66},
    "psl": {"psl_freeze": "slow"},
    "colorization": {"colorization_neighbours": 5, "colorization_rebalance": 0.5},
}
# (odds of a blur, of solarising) of each view, and which methods start residual blocks as the identity.
ALIKE, APART = [(0.5, 0.0), (0.5, 0.0)], [(1.0, 0.0), (0.1, 0.2)]
VIEWS = {"simclr": ALIKE, "swav": ALIKE, "byol": APART, "simsiam": ALIKE, "barlow_twins": APART}
FROM_IDENTITY = ("simsiam", "barlow_twins")


def native(method, **typed):
    asked = {"method": method, "recipe": "native", "preset": "paper"} | typed
    return from_flat(resolve("pretrain", asked) | {"mode": "pretrain"})


@pytest.mark.parametrize("method", SETTINGS)
def test_settings(method):
    config = native(method)
    expected = USUAL | SETTINGS[method]
    found = {name: getattr(config.optimization, name) for name in expected}
    assert found == {
        name: pytest.approx(value, rel=1e-12) if type(value) is float else value
        for name, value in expected.items()
    }
    own = options(config)
    kind = PRETRAINING[method]
    of_optimizer = kind.optimizer_options(SimpleNamespace(options=own), config.optimization.optimizer)
    assert {name: of_optimizer.get(name, getattr(own, name, None)) for name in OWN[method]} == OWN[method]
    assert set(of_optimizer) <= set(OWN[method])
    assert kind.encoder_options(own) == ({"zero_init_residual": True} if method in FROM_IDENTITY else {})


@pytest.mark.parametrize("method", FROM_IDENTITY)
@pytest.mark.parametrize("start", [True, False])
def test_residual_blocks_start_as_the_authors_have_them_unless_told_otherwise(method, start):
    typed = {"method": method} | ({} if start else {"zero_init_residual": False})
    config = from_flat(resolve("pretrain", typed) | {"mode": "pretrain"})
    assert PRETRAINING[method].encoder_options(options(config)) == {"zero_init_residual": start}


@pytest.mark.parametrize("method", VIEWS)
def test_blur_and_solarising_of_the_views(method):
    recipe = PRETRAINING[method].recipe(options(native(method)))
    for modality in ("visible", "infrared"):
        views = [view for view in recipe.views if view.name in (modality, f"{modality}_2")]
        odds = [
            tuple(
                next(operation.probability for operation in view.chain if type(operation) is kind)
                for kind in (GaussianBlur, Solarise)
            )
            for view in views
        ]
        assert odds == VIEWS[method]


def test_rules_follow_the_length_and_the_images_of_a_run_and_a_typed_value_wins():
    run = native("jigsaw", epochs=20, batch_size=64).optimization
    assert (run.learning_rate, run.warmup_epochs, run.lr_milestones) == (0.05, 1.0, "6,12,18")
    assert native("byol", learning_rate=0.3).optimization.learning_rate == 0.3
