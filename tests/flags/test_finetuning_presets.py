"""--preset=paper of fine-tuning in numbers, beside the specs' values; demo and smoke fit their networks."""

import pytest

from mmgl_tf.flags.config import defaults
from mmgl_tf.flags.methods import FINETUNING
from mmgl_tf.flags.resolution import resolve

# What the methods have alike, unless they say otherwise.
USUAL = {
    "backbone": "resnet50",
    "image_height": 288,
    "image_width": 144,
    "identities_per_batch": 8,
    "images_per_identity": 4,
    "epochs": 81,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "trunk_lr_multiplier": 0.1,
    "momentum": 0.9,
    "nesterov": True,
    "weight_decay": 5e-4,
    "wd_on_bn": True,
    "wd_on_bias": True,
    "clip_norm": 0.0,
    "lr_schedule": "step",
    "lr_milestones": "20,50",
    "warmup_epochs": 10.0,
    "pad_pixels": 10,
    "flip_probability": 0.5,
    "augmix_modalities": "none",
    "erase_modalities": "none",
    "triplet_weight": 1.0,
    "triplet_margin": 0.3,
    "flip": False,
}
OWN = {
    "one_stream": {},
    "two_stream": {},
    "agw": {"gem_power": 3.0, "non_local_width": 1, "triplet_form": "reference"},
    "ddag": {
        "lr_milestones": "30,50",
        "ddag_parts": 3,
        "ddag_residual": "neck",
        "ddag_heads": 4,
        "ddag_head_size": 512,
        "ddag_dropout": 0.2,
    },
    "caj": {
        "epochs": 100,
        "flip": True,
        "gem_power": 3.0,
        "non_local_width": 1,
        "triplet_form": "reference",
        "caj_erase_probability": 0.5,
        "caj_grey_probability": 0.5,
        "caj_square": True,
        "caj_clamp": 88.0,
        "caj_alpha": 1.0,
        "caj_gamma": 1.0,
        "caj_divergence_weight": 0.0,
    },
    "nfs": {
        "epochs": 80,
        "nfs_reduction": 16,
        "nfs_residual": False,
        "nfs_temperature": 1.0,
        "nfs_temperature_final": 0.5,
        "nfs_contrast": "centre",
        "nfs_contrast_weight": 1.0,
        "nfs_contrast_temperature": 0.1,
    },
}


@pytest.mark.parametrize("dataset", ["sysu", "regdb"])
@pytest.mark.parametrize("method", OWN)
def test_paper_is_what_the_methods_authors_do(method, dataset):
    found = defaults() | resolve("finetune", {"method": method, "dataset": dataset})
    expected = USUAL | OWN[method]
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("method", FINETUNING)
@pytest.mark.parametrize("layout", ["sysu", "regdb", "folder"])
def test_a_run_is_tested_as_its_methods_authors_do_on_the_data_set_that_it_is_of(method, layout):
    of_its_own = {
        ("mpanet", "regdb"): {"distance": "euclidean", "count_identities": "always"},
        **{("caj", each): {"flip": True} for each in ("sysu", "regdb", "folder")},
    }
    usual = {"flip": False, "distance": "cosine", "count_identities": "protocol", "gallery_draw": "seeded"}
    expected = usual | of_its_own.get((method, layout), {})
    typed = [{"dataset": layout}]
    typed += [{"dataset": "synthetic", "world_layout": layout}] if layout != "folder" else []
    for words in typed:
        found = defaults() | resolve("finetune", {"method": method} | words)
        assert {name: found[name] for name in expected} == expected
