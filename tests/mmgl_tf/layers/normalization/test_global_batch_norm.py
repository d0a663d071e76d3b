"""Legend: R replicas. What replicas compute comes from `replicated_batch_norm.py`, a process for each R."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmgl_tf.layers.heads.batch_norm_neck import BatchNormNeck
from mmgl_tf.layers.normalization.batch_norm import FusedBatchNorm, synchronise
from mmgl_tf.layers.normalization.global_batch_norm import global_batch_norm

SCRIPT = Path(__file__).with_name("replicated_batch_norm.py")
ROOT = Path(__file__).resolve().parents[4]
CASES = [
    f"{name}-{count}"
    for count in (2, 4)
    for name in ("flat", "maps", "single", "offset", "neck", "bfloat16", "float16", "float64", "epsilon")
]
# Relative errors. Half precision is rounded once, at the end: 2^-8 and 2^-11, and a little for float32's own.
# At an offset of a thousand deviations float32 holds a mean no better than to 3e-5 of a deviation; two
# single values of one channel lie close together too. In float64 the slow gradients are what is inexact.
TOLERANCES = {"bfloat16": 2**-8 + 2e-5, "float16": 2**-11 + 2e-5, "offset": 2e-4, "single": 2e-4}
TOLERANCES["float64"] = 1e-7


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """{case/array: value} of 2 and of 4 replicas."""
    folder, processes = tmp_path_factory.mktemp("replicas"), []
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for count in (2, 4):
        command = [sys.executable, SCRIPT, str(count), folder / f"{count}.npz"]
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    results = {}
    for count, process in zip((2, 4), processes, strict=True):
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        with np.load(folder / f"{count}.npz") as arrays:
            results |= dict(arrays)
    return results


def case_of(found, name):
    return {key.split("/")[1]: value for key, value in found.items() if key.startswith(f"{name}/")}


def arguments_of(case):
    return [case[name] for name in ("x", "gamma", "beta", "epsilon")]


def slow_batch_norm(x, gamma, beta, epsilon):
    """One replica with all rows, in float64: the output, and mean and unbiased variance of each channel."""
    y, means, variances = np.zeros(x.shape), [], []
    for channel in range(x.shape[-1]):
        values = x[..., channel].astype("float64")
        mean = values.sum() / values.size
        squares = ((values - mean) ** 2).sum()
        y[..., channel] = (values - mean) / np.sqrt(squares / values.size + epsilon)
        means.append(mean)
        variances.append(squares / (values.size - 1))
    return y * gamma + beta, np.array(means), np.array(variances)


def slow_gradients(x, gamma, beta, epsilon, direction):
    """Central differences of the sum of y times direction, by every value of x, gamma and beta."""
    arguments, gradients = [array.astype("float64") for array in (x, gamma, beta)], []
    for array in arguments:
        gradient = np.zeros(array.shape)
        for place in np.ndindex(*array.shape):
            kept, totals = array[place], []
            for step in (1e-6, -1e-6):
                array[place] = kept + step
                totals.append((slow_batch_norm(*arguments, epsilon)[0] * direction).sum())
            array[place] = kept
            gradient[place] = (totals[0] - totals[1]) / 2e-6
        gradients.append(gradient)
    return gradients


def tolerance_of(name):
    return TOLERANCES.get(name.split("-")[0], 2e-5)


def exactness_of(name):
    """Of what is float32, or float64, also where x is half precision."""
    kind = name.split("-")[0]
    return TOLERANCES[kind] if kind in ("offset", "float64") else 2e-5


@pytest.mark.parametrize("name", CASES)
def test_output_and_statistics_are_those_of_one_replica_with_all_rows(found, name):
    case = case_of(found, name)
    assert case["dtype"] == (name.split("-")[0] if "float" in name else "float32")
    y, mean, variance = slow_batch_norm(*arguments_of(case))
    np.testing.assert_allclose(case["y"], y, rtol=tolerance_of(name), atol=exactness_of(name))
    # Momentum 0: the moving statistics are the batch's. Float32 also where x is half precision.
    sharp = 1e-12 if "float64" in name else 2e-6
    np.testing.assert_allclose(case["moving_mean"], mean, rtol=sharp, atol=sharp / 2)
    precision = 1e-4 if "offset" in name else 2.5 * sharp
    np.testing.assert_allclose(case["moving_variance"], variance, rtol=precision)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_the_loss_of_all_rows(found, name):
    case = case_of(found, name)
    by_x, by_gamma, by_beta = slow_gradients(*arguments_of(case), case["direction"])
    tolerance, exact = tolerance_of(name), exactness_of(name)
    np.testing.assert_allclose(case["by_x"], by_x, rtol=tolerance, atol=exact * np.abs(by_x).max())
    # Sums over many rows, in float32 for every dtype.
    for found_by_replica, slow in ((case["by_gamma"], by_gamma), (case.get("by_beta"), by_beta)):
        if found_by_replica is not None:
            np.testing.assert_allclose(
                found_by_replica.sum(axis=0), slow, rtol=exact, atol=exact * np.abs(slow).max()
            )


@pytest.mark.parametrize("name", CASES)
def test_gradients_by_gamma_and_beta_are_a_replicas_own_share(found, name):
    case = case_of(found, name)
    y, *_ = slow_batch_norm(case["x"], np.ones(5), np.zeros(5), case["epsilon"])
    count = len(case["by_gamma"])
    exact = exactness_of(name)
    for share, factor in (("by_gamma", y), ("by_beta", np.ones_like(y))):
        if share in case:
            slow = (case["direction"] * factor).reshape(count, -1, 5).sum(axis=1)
            np.testing.assert_allclose(case[share], slow, rtol=exact, atol=exact * np.abs(slow).max())


@pytest.mark.parametrize("name", CASES)
def test_replicas_agree_to_the_last_bit_and_everything_is_finite(found, name):
    case = case_of(found, name)
    for statistic in ("moving_mean", "moving_variance"):
        for of_replica in case[f"{statistic}_of_replicas"]:
            np.testing.assert_array_equal(of_replica, case[statistic])
    assert all(np.isfinite(value).all() for key, value in case.items() if key != "dtype")


def test_one_message_forward_and_one_backward(found):
    assert list(found["graphs/synchronised_messages"]) == [1, 2]
    assert list(found["graphs/apart_messages"]) == [0, 0]


def test_only_training_kernels_run_for_gpus_know_no_deterministic_gradient_of_the_other(found):
    assert len(found["graphs/synchronised_training_kernels"]) == 4
    assert found["graphs/synchronised_training_kernels"].all()


def test_between_the_passes_the_input_alone_is_kept(found):
    for name in ("synchronised", "apart"):
        assert list(found[f"graphs/{name}_kept"]) == ["Placeholder"] * 2


def test_replicas_that_are_not_synchronised_keep_their_own_statistics(found):
    case = case_of(found, "apart")
    for replica, rows in enumerate(np.split(case["x"], 2)):
        y, mean, variance = slow_batch_norm(rows, *arguments_of(case)[1:])
        np.testing.assert_allclose(case["y"][2 * replica : 2 * replica + 2], y, atol=2e-5)
        np.testing.assert_allclose(case["moving_mean_of_replicas"][replica], 0.5 * mean, rtol=1e-5)
        own = case["moving_variance_of_replicas"]
        np.testing.assert_allclose(own[replica], 0.5 + 0.5 * variance, rtol=1e-5)
    assert not np.allclose(own[0], own[1], rtol=0.1)


def test_outside_of_replicas_the_moving_statistics_are_the_first_ones(found):
    case = case_of(found, "apart")
    first = case["moving_variance_of_replicas"][0]
    np.testing.assert_array_equal(case["moving_mean"], case["moving_mean_of_replicas"][0])
    for way_out in ("moving_variance", "get_weights", "in_checkpoint"):
        np.testing.assert_array_equal(case[way_out], first)
    np.testing.assert_array_equal(case["assigned"], np.full((2, 5), 7.0))
    for way_in in ("loaded", "restored"):
        np.testing.assert_array_equal(case[way_in], [first, first])


@pytest.mark.parametrize("kind", [FusedBatchNorm, BatchNormNeck])
def test_moving_statistics_stay_on_their_replica(kind):
    layer = kind()
    layer.build((None, 5))
    for variable in (layer.moving_mean, layer.moving_variance):
        assert (variable.synchronization, variable.aggregation) == ("on_read", "only_first_replica")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
@pytest.mark.parametrize("shape", [(6, 5), (3, 4, 2, 5)])
@pytest.mark.parametrize("compiled", [False, True])
def test_one_replica_is_the_layers_own_path(shape, dtype, compiled):
    def step(x, layer):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(tf.cast(y, tf.float32) ** 3)
        return y, *tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])

    x = tf.cast(1 + 2 * np.random.RandomState(0).randn(*shape), dtype)
    results = []
    for synchronised in (False, True):
        layer = FusedBatchNorm(dtype=f"mixed_{dtype}" if dtype.endswith("16") else dtype)
        layer.build(shape)
        layer.gamma.assign(np.arange(5))
        layer.synchronised = synchronised
        run = tf.function(step, autograph=False) if compiled else step
        results.append([*run(x, layer), layer.moving_mean, layer.moving_variance])
    for alone, among_replicas in zip(*results, strict=True):
        np.testing.assert_array_equal(alone, among_replicas)


def test_synchronise_finds_every_layer_within():
    class Outer(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.norms = [FusedBatchNorm(), BatchNormNeck()]
            self.dense = keras.layers.Dense(2)

    outer, alone = Outer(), FusedBatchNorm()
    model = keras.Sequential([keras.Input((5,)), keras.Sequential([alone]), outer.norms[1]])
    assert not (alone.synchronised or outer.norms[0].synchronised)
    assert synchronise(outer) == 2
    assert synchronise(model) == 2
    assert all(norm.synchronised for norm in (alone, *outer.norms))
    assert synchronise(outer.dense) == 0
    assert "synchronised" not in alone.get_config()


def test_other_ranks_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 3, 5\); expected \[b, C\] or \[b, H, W, C\]"):
        global_batch_norm(tf.zeros([2, 3, 5]), tf.ones(5), tf.zeros(5), 1e-5)
