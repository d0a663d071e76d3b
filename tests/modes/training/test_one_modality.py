"""Pre-training on a data set without infrared images: labelled images of anything, as ImageNet's are."""

import numpy as np
import pytest
from PIL import Image

from mmgl_tf.flags.config import from_flat
from mmgl_tf.machines.distribution import Distribution
from mmgl_tf.modes.model import build_model
from mmgl_tf.modes.training.pretrain import Images
from mmgl_tf.pipelines.batches.data_wait import DataWait
from mmgl_tf.pipelines.batches.shards import WHOLE

CLASSES, EACH = 4, 3


@pytest.fixture
def config(tmp_path):
    """A configuration of a run that is claimed already, by the data set's method."""
    dice = np.random.default_rng(0)
    for number in range(CLASSES):
        folder = tmp_path / "data" / "visible" / f"class{number}"
        folder.mkdir(parents=True)
        for image in range(EACH):
            Image.fromarray(dice.integers(0, 256, (32, 16, 3), np.uint8)).save(folder / f"{image}.png")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")

    def made(**changes):
        flat = {
            "mode": "pretrain",
            "dataset": "folder",
            "data_dir": str(tmp_path / "data"),
            "cache_dir": str(tmp_path / "cache"),
            "workdir": str(tmp_path / "run"),
            "backbone": "resnet10",
            "image_height": 32,
            "image_width": 16,
            "batch_size": 4,
            "probe_images": 4,
            "colorization_hidden_size": 8,
            "deterministic": False,
        }
        return from_flat(flat | changes)

    return made


@pytest.mark.parametrize("method", ["supervised", "colorization"])
def test_visible_images_alone_are_enough(config, method):
    settings = config(method=method)
    material = Images(settings, Distribution("none"))
    assert material.plan.steps_per_epoch == CLASSES * EACH // 4
    assert material.plan.num_identities == (CLASSES if method == "supervised" else 0)
    assert material.plan.images_per_step == 4
    (batch,) = material.batches(0, 1, DataWait(), WHOLE)
    assert set(batch) == {"visible", "labels" if method == "supervised" else "ab"}
    assert material.validation(WHOLE) is None

    model = build_model(settings, material.plan)
    notes = material.start(model, 0)
    assert any("no infrared image is trained on" in text for _, text in notes)
    probe = material.probe(model, 0)
    figures = probe()
    assert set(figures) == {"embedding/std", "embedding/effective_rank", "embedding/mean_cosine"}
    plain = list(model.plain_batches(2))
    assert len(plain) == 2 and all(set(batch) == {"visible"} for batch in plain)
    assert np.array_equal(plain[1]["visible"], list(model.plain_batches(2))[1]["visible"])


def test_infrared_images_that_are_asked_for_are_missed(config):
    for named, needs in (("both", "both modalities are needed"), ("infrared", "infrared ones are needed")):
        with pytest.raises(ValueError, match=f"0 infrared images were found for train; {needs}"):
            Images(config(method="supervised", supervised_modalities=named), Distribution("none"))


def test_a_single_image_of_a_modality_cannot_be_compared(config, tmp_path):
    (tmp_path / "data" / "infrared" / "class0").mkdir(parents=True)
    Image.new("L", (16, 32)).save(tmp_path / "data" / "infrared" / "class0" / "1.png")
    with pytest.raises(
        ValueError, match=r"1 of the infrared images in train of .* can be read; expected at least 2"
    ):
        Images(config(method="simclr", batch_size=1), Distribution("none"))


def test_no_more_plain_batches_than_asked_for_where_a_modality_is_small(config, tmp_path):
    (tmp_path / "data" / "infrared").mkdir()
    for number in range(2):
        Image.new("L", (16, 32), number).save(tmp_path / "data" / "infrared" / f"{number}.png")
    material = Images(config(method="colorization"), Distribution("none"))
    plain = list(material._plain_batches(2))
    assert [len(batch["visible"]) for batch in plain] == [2, 2]
