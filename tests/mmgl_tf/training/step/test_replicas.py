"""The mathematics does not change with the number of replicas: devices, workers, parts of a batch.

Each case is a process of its own, as devices are made once in a process. The same steps on one device are
the truth; sums in another order are the only difference allowed. All in float64, where that is some 1e-14 of
the way that training took the weights; in float32 it is 1e-5 on one processor and 1e-3 on another.
"""

import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mmgl_tf.optimizers.loss_scale import LARGEST

ROOT = Path(__file__).parents[4]
MODULE = "tests.mmgl_tf.training.step.replicated_steps"
# name -> (strategy, replicas of a process, processes, options)
CASES = {
    "one": ("none", 1, 1, ()),
    "two devices": ("mirrored", 2, 1, ()),
    "two workers": ("multi_worker", 1, 2, ()),
    "two devices apart": ("mirrored", 2, 1, ("unsynchronised",)),
    "two parts": ("none", 1, 1, ("accumulate=2",)),
}
METHODS = ("mmgl", "agw")
SAME = 1e-9  # relative; 1e-13 is what was seen


def run(out, method, strategy, replicas, processes, options):
    """Run a case; the last process's results, as {name: array}."""
    ports = []
    for _ in range(processes):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    started = []
    for index in range(processes):
        path = out.with_name(f"{out.name}-{index}.npz")
        cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
        if processes > 1:
            task = {"type": "worker", "index": index}
            environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
        command = [sys.executable, "-m", MODULE, str(path), method, strategy, str(replicas), *options]
        started.append(
            subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    texts = [process.communicate(timeout=600)[0] for process in started]
    assert [process.returncode for process in started] == [0] * processes, "\n".join(texts)[-3000:]
    results = []
    for index in range(processes):
        with np.load(out.with_name(f"{out.name}-{index}.npz")) as archive:
            results.append({name: archive[name] for name in archive.files})
    return results


def run_all(directory, wanted):
    """{(method, case): results of each process}."""
    with ThreadPoolExecutor(2) as pool:
        done = [
            pool.submit(run, directory / f"{method}-{name.replace(' ', '_')}", method, *CASES[name])
            for method, name in wanted
        ]
        return {key: future.result() for key, future in zip(wanted, done, strict=True)}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Of the cases that are always run."""
    wanted = [("mmgl", "one"), ("mmgl", "two devices"), ("mmgl", "two workers")]
    wanted += [("agw", "one"), ("agw", "two devices")]
    return run_all(tmp_path_factory.mktemp("replicas"), wanted)


@pytest.fixture(scope="module")
def more(tmp_path_factory, results):
    """Of all cases."""
    wanted = [("mmgl", "two devices apart"), ("mmgl", "two parts"), ("agw", "two workers")]
    return results | run_all(tmp_path_factory.mktemp("more"), wanted)


def distance(found, expected):
    """How far apart the trained weights are, as a share of how far training took them."""
    names = [name.removeprefix("start/") for name in expected if name.startswith("start/")]
    moved = [expected[f"weight/{name}"] - expected[f"start/{name}"] for name in names]
    apart = [found[f"weight/{name}"] - expected[f"weight/{name}"] for name in names]
    return norm(apart) / norm(moved)


def norm(arrays):
    return np.sqrt(sum(np.sum(np.square(array, dtype=np.float64)) for array in arrays))


def figures(result):
    return {name: values for name, values in result.items() if name.startswith("figure/")}


def assert_same(found, expected):
    """Figures of each step, the way of the weights, and moving statistics."""
    assert_same_figures(found, expected)
    assert distance(found, expected) < SAME
    for name, values in expected.items():
        if "moving_" in name:
            np.testing.assert_allclose(found[name], values, rtol=SAME, atol=SAME, err_msg=name)


def assert_same_figures(found, expected):
    for name, values in figures(expected).items():
        assert values.dtype == np.float64
        np.testing.assert_allclose(found[name], values, rtol=SAME, atol=SAME, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_two_devices_take_the_steps_of_one(results, method):
    (found,) = results[method, "two devices"]
    assert_same(found, results[method, "one"][0])


@pytest.mark.slow
def test_two_workers_take_the_steps_of_one_and_end_with_equal_weights(results):
    assert_workers(results, "mmgl")


@pytest.mark.slow
def test_a_step_on_two_workers_sends_what_it_asks_for_and_nothing_else(results):
    """TensorFlow's input would ask before each step whether everybody has data."""
    first, _ = results["mmgl", "two workers"]
    asked, sent = first["messages"]
    assert asked == sent > 2


@pytest.mark.slow
def test_two_workers_fine_tune_agw_as_one_does(more):
    assert_workers(more, "agw")


def assert_workers(results, method):
    first, second = results[method, "two workers"]
    assert_same(first, results[method, "one"][0])
    assert set(first) == set(second)
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_parts_of_a_batch_are_replicas_that_normalise_apart(more):
    (apart,), (parts,) = more["mmgl", "two devices apart"], more["mmgl", "two parts"]
    assert_same_figures(parts, apart)
    assert distance(parts, apart) < SAME


@pytest.mark.slow
def test_the_test_can_tell_batch_norms_apart(more):
    (apart,), (one,) = more["mmgl", "two devices apart"], more["mmgl", "one"]
    assert distance(apart, one) > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_four_replicas_that_clip_take_the_steps_of_one_that_clips(tmp_path, method):
    (one,) = run(tmp_path / "one", method, "none", 1, 1, ("clipped",))
    (four,) = run(tmp_path / "four", method, "mirrored", 4, 1, ("clipped",))
    assert_same(four, one)


@pytest.mark.slow
def test_replicas_that_normalise_apart_share_the_firsts_statistics_for_validation(more):
    """The saved ones: else validation would judge a network that nobody has."""
    (apart,) = more["mmgl", "two devices apart"]
    before, after = apart["replica_statistics"]
    assert not np.allclose(before[0], before[1])
    assert np.array_equal(after, np.stack([before[0], before[0]]))


@pytest.mark.slow
def test_parts_on_replicas_are_more_parts(tmp_path):
    options = ("unsynchronised", "accumulate=2")
    (two,) = run(tmp_path / "two", "mmgl", "mirrored", 2, 1, options)
    (one,) = run(tmp_path / "one", "mmgl", "none", 1, 1, ("accumulate=4",))
    assert distance(two, one) < SAME


@pytest.mark.slow
def test_replicas_skip_a_step_that_overflows_together(tmp_path):
    """Weights stay where the scaled gradients are not finite, and the step counts, as on one device."""
    options = ("scaled=inf", "steps=1")
    with ThreadPoolExecutor(2) as pool:
        cases = {"one": ("none", 1), "two": ("mirrored", 2)}
        done = [
            pool.submit(run, tmp_path / name, "mmgl", strategy, replicas, 1, options)
            for name, (strategy, replicas) in cases.items()
        ]
        (one,), (two,) = (future.result() for future in done)
    for found in (one, two):
        assert float(found["optimizer/torch_sgd/loss_scale"]) == LARGEST
        assert int(found["optimizer/torch_sgd/iteration"]) == 1
        assert found["figure/gradient/norm"] == 0 and found["figure/loss_scale/skipped"] == 1
        start = {name: value for name, value in found.items() if name.startswith("start/")}
        assert start and all(np.array_equal(v, found[f"weight/{n[6:]}"]) for n, v in start.items())
    np.testing.assert_allclose(two["figure/loss/total"], one["figure/loss/total"], rtol=SAME)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_float16_finds_its_scale_and_then_trains_the_same_on_all_replicas(tmp_path, method):
    """From a scale at which gradients overflow; how many steps that costs hangs on rounding."""
    start, steps = 2.0**20, 8
    options = ("float16", f"scaled={start}", f"steps={steps}")
    (one,) = run(tmp_path / "one", method, "none", 1, 1, options)
    first, second = run(tmp_path / "two", method, "multi_worker", 1, 2, options)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    for found in (one, first):
        skipped = found["figure/loss_scale/skipped"]  # the mean so far, after each step
        count = round(steps * skipped[-1])
        assert skipped[0] == 1 and 0 < count < steps
        assert float(found["optimizer/torch_sgd/loss_scale"]) == start / 2**count
        assert found["figure/loss_scale/scale"][0] == start
        norms = found["figure/gradient/norm"]
        assert (norms[skipped == 1] == 0).all()
        assert (norms[skipped < 1] > 0.1).all(), "skipped steps have no part in it"
        moved = [found[f"weight/{name[6:]}"] - value for name, value in found.items() if name[:6] == "start/"]
        assert norm(moved) > 0
