import os
import resource
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from mmgl_tf.training.checkpoints import Checkpoints, collect, digest, restore

ROOT = Path(__file__).parents[3]


def toy_model(units=3):
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(units, name="dense")], name="toy")
    model.compile(optimizer=keras.optimizers.SGD(name="toy_sgd"), loss="mse")
    model.optimizer.build(model.trainable_variables)
    return model


def test_what_is_saved_comes_back_with_its_note(tmp_path):
    store = Checkpoints(tmp_path)
    arrays = {"weight/a": np.arange(6, dtype=np.float32).reshape(2, 3), "optimizer/i": np.int64(7)}
    store.save(12, arrays, {"best_score": 0.5})
    found, note = store.latest()
    assert note == {"best_score": 0.5, "step": 12}
    assert set(found) == set(arrays)
    for name, value in arrays.items():
        assert found[name].dtype == np.asarray(value).dtype
        np.testing.assert_array_equal(found[name], value)


def test_only_the_newest_two_are_kept(tmp_path):
    store = Checkpoints(tmp_path)
    for step in (1, 2, 10, 9):
        store.save(step, {"a": np.zeros(1)}, {})
    assert [path.name for path in store.paths()] == ["step_00000009.npz", "step_00000010.npz"]


@pytest.mark.parametrize("damage", ["truncate", "garbage", "empty"])
def test_a_damaged_checkpoint_is_reported_and_the_one_before_is_used(tmp_path, damage):
    told = []
    store = Checkpoints(tmp_path, report=told.append)
    store.save(1, {"a": np.full(1000, 1.0)}, {})
    store.save(9, {"a": np.full(1000, 2.0)}, {})
    newest = store.paths()[-1]
    content = newest.read_bytes()
    newest.write_bytes({"truncate": content[: len(content) // 2], "garbage": b"no zip", "empty": b""}[damage])
    arrays, note = store.latest()
    assert note["step"] == 1 and arrays["a"][0] == 1.0
    assert "step_00000009" in told[0]


def test_damaged_checkpoints_do_not_stand_in_the_way_of_new_ones(tmp_path):
    store = Checkpoints(tmp_path, report=lambda line: None)
    for step in (8, 9):
        store.save(step, {"a": np.zeros(9)}, {})
        store.paths()[-1].write_bytes(b"no zip")
    assert store.latest() is None
    store.save(2, {"a": np.zeros(9)}, {})
    assert store.latest()[1]["step"] == 2


def test_a_flipped_bit_is_noticed(tmp_path):
    store = Checkpoints(tmp_path, report=lambda line: None)
    store.save(1, {"a": np.zeros(4096)}, {})
    path = store.paths()[-1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert store.latest() is None


def test_a_pickle_inside_is_not_loaded(tmp_path):
    store = Checkpoints(tmp_path, report=lambda line: None)
    np.savez(tmp_path / "step_00000001.npz", evil=np.array([{"code": 1}], dtype=object), allow_pickle=True)
    assert store.latest() is None


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path):
    """A real write failure: the child process may not write files beyond 64 kB."""
    Checkpoints(tmp_path).save(1, {"a": np.ones(10)}, {})
    program = (
        "import numpy as np, sys; from mmgl_tf.training.checkpoints import Checkpoints\n"
        "try: Checkpoints(sys.argv[1]).save(2, {'a': np.random.rand(100_000)}, {})\n"
        "except OSError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)),
    )
    assert "the last good one is" in done.stdout and "step_00000001" in done.stdout
    assert sorted(os.listdir(tmp_path)) == ["step_00000001.npz"], "no half file may stay behind"
    assert Checkpoints(tmp_path).latest()[1]["step"] == 1


def test_collect_and_restore_are_inverse_and_include_the_optimizer():
    first, second = toy_model(), toy_model()
    first.optimizer.iterations.assign(41)
    state = collect(first)
    restore(second, state)
    assert int(second.optimizer.iterations) == 41
    for name, value in collect(second).items():
        np.testing.assert_array_equal(value, state[name])


def test_the_digest_changes_with_any_number():
    model = toy_model()
    before = digest(model)
    assert digest(model) == before
    last = model.weights[-1]
    last.assign(np.asarray(last) + np.float32(1e-6))
    assert digest(model) != before


def test_restore_refuses_another_model_and_changes_nothing():
    model = toy_model()
    before = collect(model)
    with pytest.raises(ValueError, match="does not fit this model"):
        restore(model, collect(toy_model(units=5)))
    state = collect(toy_model())
    state.pop(next(iter(state)))
    with pytest.raises(ValueError, match=r"missing \['"):
        restore(model, state)
    for name, value in collect(model).items():
        np.testing.assert_array_equal(value, before[name])
