"""How many epochs a random start gets when it is given the pre-training's time as well."""

import math

from experiments.settings import resolved

# Training images of (visible, infrared) with train_ids=trainval; SYSU-MM01 as published, RegDB per trial.
PUBLISHED_IMAGES = {"sysu": (22258, 11909), "regdb": (2060, 2060)}
# Cameras of the drawn world in SYSU-MM01's layout: 1, 2, 4, 5 visible, 3 and 6 infrared.
VISIBLE_CAMERAS, INFRARED_CAMERAS = 4, 2


def with_pretraining_time(preset, pretrain, finetune):
    """A fine-tuning that sees as many images as a pre-training and the fine-tuning together.

    Choice: compute is counted in images that go forwards and backwards through the trunk, 2 x batch_size a
    step of pre-training (96 in the paper and the demo), 2 x identities x images a step of fine-tuning (64).
    Trunk and image size are the same in both, the heads cost next to nothing, and seconds would depend on
    what else the machine does. In the demo 1,200 x 96 images are 1,800 steps of fine-tuning, 12 epochs on
    top of 10. Rounded up to whole epochs, in favour of the random start. The learning rate's schedule is
    stretched with the length: a cosine by itself, a step schedule by its milestones; the warm-up stays.

    Args:
        preset: its name.
        pretrain: {setting: value} of the pre-training that is replaced, over the preset.
        finetune: {setting: value} of the fine-tuning, over the preset.

    Returns:
        {setting: value} to put over `finetune`.

    Raises:
        ValueError: the number of training images is not known without reading them.
    """
    before, after = resolved("pretrain", preset, pretrain), resolved("finetune", preset, finetune)
    steps = before["steps_per_epoch"] or _pretraining_steps(before)
    images = before["epochs"] * steps * 2 * before["batch_size"]
    per_modality = after["identities_per_batch"] * after["images_per_identity"]
    steps = after["steps_per_epoch"] or max(training_images(after)) // per_modality + 1
    epochs = after["epochs"] + math.ceil(images / (steps * 2 * per_modality))
    changed = {"epochs": epochs}
    if after["lr_schedule"] == "step":
        milestones = [int(number) for number in after["lr_milestones"].split(",") if number.strip()]
        stretched = [round(number * epochs / after["epochs"]) for number in milestones]
        changed["lr_milestones"] = ",".join(map(str, stretched))
    return changed


def training_images(config):
    """Images to train on, without looking at them.

    Args:
        config: {setting: value}, all settings.

    Returns:
        (visible, infrared) int.

    Raises:
        ValueError: only the data set itself could tell.
    """
    if config["dataset"] == "synthetic" and config["world_layout"] == "sysu":
        train, frames = config["world_train_identities"], config["world_frames"]
        more = config["world_validation_identities"] if config["train_ids"] == "trainval" else 0
        infrared = train * config["world_infrared_train_frames"] + more * frames
        return (train + more) * frames * VISIBLE_CAMERAS, infrared * INFRARED_CAMERAS
    if config["dataset"] in PUBLISHED_IMAGES and config["train_ids"] == "trainval":
        return PUBLISHED_IMAGES[config["dataset"]]
    raise ValueError(
        f"the number of training images of --dataset={config['dataset']} --train_ids={config['train_ids']} "
        f"--world_layout={config['world_layout']} is not known beforehand; give --steps_per_epoch in --flags"
    )


def _pretraining_steps(config):
    """Steps of one pass, as `mmgl_tf.pipelines.batches.sampling.steps_in_epoch` counts them."""
    larger = max if config["epoch_by"] == "max" else min
    return max(1, larger(training_images(config)) // config["batch_size"])
