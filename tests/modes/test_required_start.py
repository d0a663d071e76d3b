"""Starts that cannot be are refused before any image is read."""

import pytest

from mmgl_tf.flags.config import from_flat
from mmgl_tf.flags.resolution import resolve
from mmgl_tf.modes.saved_run import require_start
from tests.modes.small_run import settings, write_run


@pytest.fixture
def refused(tmp_path):
    """Function (settings of the start, of the fine-tuning, what --init names) -> the message."""

    def told(start, typed, init="pre"):
        write_run(tmp_path / "pre", settings("pretrain", **start))
        (tmp_path / "pre" / "encoder_last.weights.h5").touch()
        typed = {"init": str(tmp_path / init)} | typed
        with pytest.raises(ValueError, match="--init=") as error:
            require_start(from_flat(resolve("finetune", typed) | {"mode": "finetune"}))
        return str(error.value)

    return told


@pytest.mark.parametrize("init", ["pre", "pre/encoder_last.weights.h5"])
def test_another_backbone_is_named_with_both_ways_out(refused, init):
    told = refused({"backbone": "resnet10", "preset": "demo"}, {}, init)
    assert "was trained with --backbone=resnet10, and this run has resnet50" in told
    assert told.endswith("give --backbone=resnet10, or --preset=demo as there")
    told = refused({"backbone": "resnet18", "preset": "demo"}, {"preset": "demo"}, init)
    assert told.endswith("give --backbone=resnet18")


def test_two_stems_for_one_want_a_choice(refused):
    start = {"backbone": "resnet10", "stream": "two"}
    asked = {"backbone": "resnet10", "method": "one_stream"}
    assert "choose what it starts from with --stem_from=visible, infrared or mean" in refused(start, asked)


def test_a_start_that_has_saved_nothing_yet_is_refused(tmp_path):
    write_run(tmp_path / "pre", settings("pretrain", backbone="resnet10"))
    typed = {"init": str(tmp_path / "pre"), "backbone": "resnet10"}
    with pytest.raises(ValueError, match="its first epoch is not finished"):
        require_start(from_flat(resolve("finetune", typed) | {"mode": "finetune"}))


def test_what_fits_and_what_no_run_surrounds_is_let_through(tmp_path):
    write_run(tmp_path / "pre", settings("pretrain", backbone="resnet10", stream="one"))
    (tmp_path / "pre" / "encoder_last.weights.h5").touch()
    (tmp_path / "alone.weights.h5").touch()
    for init in ("random", str(tmp_path / "pre"), str(tmp_path / "alone.weights.h5")):
        typed = {"init": init, "backbone": "resnet10", "method": "one_stream"}
        require_start(from_flat(resolve("finetune", typed) | {"mode": "finetune"}))
