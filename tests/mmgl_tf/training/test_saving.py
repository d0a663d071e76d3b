import types

import numpy as np
import pytest

from mmgl_tf.flags.config import from_flat
from mmgl_tf.run_directory import RunDirectory
from mmgl_tf.training.checkpoints import Checkpoints
from mmgl_tf.training.position import Position
from mmgl_tf.training.saving import Saving


class FakeEncoder:
    variables = (np.zeros((300, 1000)),)

    def __init__(self):
        self.epoch = 0

    def save_weights(self, path):
        path.write_text(str(self.epoch))


@pytest.fixture
def saving(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.claim(from_flat({}))
    stop = types.SimpleNamespace(decided=False)
    position = Position(0, steps_per_epoch=4, total_steps=40)
    callback = Saving(
        run,
        Checkpoints(run.checkpoints),
        position,
        stop,
        every_steps=0,
        select=lambda logs: logs["score"],
        note={"data": "d"},
        seconds=lambda: 12.5,
    )
    encoder = FakeEncoder()
    callback.set_model(
        types.SimpleNamespace(
            encoder=encoder,
            saved_layers=lambda: {"encoder": encoder},
            weights=[],
            optimizer=types.SimpleNamespace(variables=[]),
            metrics=[],
        )
    )
    return callback


def epochs(saving, scores):
    for epoch, score in enumerate(scores, start=saving.position.step // 4):
        saving.model.encoder.epoch = epoch + 1
        saving.position.step = 4 * (epoch + 1)
        saving.on_epoch_end(epoch, {"score": score})


def test_the_best_encoder_is_the_one_with_the_highest_score_and_ties_go_to_the_later(saving):
    epochs(saving, [0.3, 0.5, 0.5, 0.4])
    assert saving.run.weights("encoder", "best").read_text() == "3"
    assert saving.run.weights("encoder", "last").read_text() == "4"
    assert saving.best_epoch == 3
    _, note = saving.checkpoints.latest()
    assert note == {"best_score": 0.5, "best_epoch": 3, "data": "d", "seconds": 12.5, "step": 16}


def test_a_resumed_run_remembers_the_best_score(saving):
    epochs(saving, [0.6])
    _, note = saving.checkpoints.latest()
    saving.note = {name: value for name, value in note.items() if name != "step"}
    epochs(saving, [0.5, 0.7])
    assert saving.run.weights("encoder", "best").read_text() == "3"


def test_a_file_that_the_disk_has_no_room_for_is_not_begun(saving, monkeypatch):
    """HDF5 ends the process with a segmentation fault where it runs out of room in the middle of a file."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: types.SimpleNamespace(free=1_500_000))
    with pytest.raises(OSError, match=r"encoder_last.weights.h5: .*2,248,576 bytes are needed.*make room"):
        epochs(saving, [0.5])
    assert not list(saving.run.root.glob("*encoder_last*"))
    monkeypatch.setattr("shutil.disk_usage", lambda _: types.SimpleNamespace(free=2_500_000))
    epochs(saving, [0.5])


def test_without_a_score_there_is_no_best_encoder(saving):
    saving.select = lambda logs: None
    epochs(saving, [0.3])
    assert not saving.run.weights("encoder", "best").exists() and saving.best_epoch is None


def test_saves_within_an_epoch_when_due_and_when_asked_to_stop(saving):
    saving.every_steps = 3
    for step in (1, 2, 3, 4):
        saving.position.step = step
        saving.on_train_batch_end(0, {})
    # Step 4 ends the epoch: its validation comes first, so on_epoch_end saves.
    assert [path.name for path in saving.checkpoints.paths()] == ["step_00000003.npz"]
    saving.stop.decided = True
    saving.position.step = 5
    saving.on_train_batch_end(0, {})
    assert saving.checkpoints.latest()[1]["step"] == 5
    assert np.isfinite(saving.checkpoints.latest()[1]["seconds"])
