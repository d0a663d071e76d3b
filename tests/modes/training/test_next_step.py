"""What a pre-training says to type next is a fine-tuning of the same people, images and backbone."""

import shlex
import types

import pytest

from mmgl_tf.flags.definitions import settings_in
from mmgl_tf.flags.reading import configs_of
from mmgl_tf.modes.training.pretrain import Images


@pytest.mark.parametrize(
    "typed",
    [
        [],
        ["--preset=demo", "--world_seed=3", "--image_height=192"],
        ["--dataset=regdb", "--data_dir=my data", "--trial=4", "--backbone=resnet18", "--nocache"],
        ["--dataset=folder", "--data_dir=DIR", "--train_ids=train", "--method=byol", "--learning_rate=0.1"],
    ],
)
def test_it_is_taken_as_it_stands_and_forgets_nothing(typed):
    (before,) = configs_of(settings_in(["--mode=pretrain", *typed]))
    program, main, *words = shlex.split(
        Images._fine_tuning(types.SimpleNamespace(config=before), "runs/my run")
    )
    assert (program, main) == ("python", "main.py")
    (after,) = configs_of(settings_in(words))
    assert after.run.mode == "finetune" and after.finetuning.init == "runs/my run"
    assert (after.data, after.world) == (before.data, before.world)
    assert after.network.backbone == before.network.backbone
