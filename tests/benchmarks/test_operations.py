import argparse
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from benchmarks import operations
from benchmarks.graph_operations import operations as operations_of
from benchmarks.messages import Messages
from benchmarks.operations import Accelerator, Prediction, predict, traced
from benchmarks.recipe import add_recipe_flags, recipe
from benchmarks.scaling_case import MARK
from mmgl_tf.training.step.replicas import BYTES_PER_PACK


def small_recipe(*words, **settings):
    parser = argparse.ArgumentParser()
    add_recipe_flags(parser, "demo")
    return recipe(parser.parse_args(["--size=96x32", "--batch=4", *words]), **settings)


def traced_graph(function, *shapes):
    return (
        tf.function(function, autograph=False)
        .get_concrete_function(*(tf.TensorSpec(s) for s in shapes))
        .graph
    )


def products(function, *shapes):
    return sorted(
        op.multiply_adds for op in operations_of(traced_graph(function, *shapes)) if op.multiply_adds
    )


def test_products_of_convolutions_and_their_gradients():
    def step(x, kernel):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = tf.nn.conv2d(x, kernel, 2, "VALID")
        return tape.gradient(y, [x, kernel])

    # 2 images, 4 x 3 cells out of a 3 x 3 window of 5 channels, 7 channels; forward is not needed here.
    assert products(step, [2, 9, 7, 5], [3, 3, 5, 7]) == [2 * 4 * 3 * 3 * 3 * 5 * 7] * 2


@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        (lambda a, b: tf.matmul(a, b), ([3, 5], [5, 7]), 105),
        (lambda a, b: tf.matmul(a, b, transpose_a=True), ([5, 3], [5, 7]), 105),
        (lambda a, b: tf.matmul(a, b, transpose_b=True), ([2, 3, 5], [2, 7, 5]), 210),
        (lambda a, b: tf.einsum("bhwc,cf->bhwf", a, b), ([2, 3, 4, 5], [5, 7]), 2 * 3 * 4 * 5 * 7),
    ],
)
def test_products_of_matrices(function, shapes, expected):
    assert products(function, *shapes) == [expected]


def test_traffic_is_every_tensor_once_and_what_nothing_needs_is_left_out():
    def function(x):
        tf.exp(x)
        return tf.reduce_sum(tf.reshape(tf.nn.relu(x), [-1]))

    found = {op.kind: op for op in operations_of(traced_graph(function, [10, 3]))}
    assert set(found) == {"Relu", "Sum"}
    assert found["Relu"].bytes == 4 * 60
    assert found["Relu"].cellwise
    assert not found["Sum"].cellwise


def test_a_loop_is_refused():
    def function(x):
        return tf.while_loop(lambda y: tf.reduce_sum(y) < 9.0, lambda y: (y + 1.0,), (x,))[0]

    with pytest.raises(ValueError, match="without loops"):
        operations_of(traced_graph(function, [2]))


@pytest.mark.slow
def test_the_step_of_many_replicas_is_one_of_them_with_the_losses_of_all():
    config = small_recipe()
    *_, alone, silence = traced(config, 4)
    model, forward, step, messages = traced(config, 1, 4)
    assert silence.sent == []
    parameters = sum(v.shape.num_elements() for v in model.trainable_variables)
    assert messages.summary("gradients") == (1, 4 * parameters)
    # Order, logits of order and part, embeddings of each stripe, and the request to stop.
    figures = 6 + 36 + 36 + 6 * config.mmgl.part_embedding_size + 1
    assert messages.summary("rows") == (1, 4 * 2 * 4 * figures)
    norms = sum(op.kind == "FusedBatchNormV3" for op in forward)
    assert messages.summary("statistics")[0] == 2 * norms > 0
    convolutions = [sum(o.multiply_adds for o in ops if o.kind.startswith("Conv")) for ops in (step, alone)]
    assert 4 * convolutions[0] == convolutions[1] > 0
    # Backward costs twice the forward pass, but for the images' own gradient.
    ahead = sum(o.multiply_adds for o in forward if o.kind == "Conv2D")
    assert 2.5 < convolutions[0] / ahead < 3.0


@pytest.mark.slow
def test_without_synchronised_batch_norm_there_are_no_messages_of_it():
    messages = traced(small_recipe(sync_batch_norm=False), 2, 2)[3]
    assert messages.summary("statistics") == (0, 0)
    assert messages.summary()[0] == 2


def test_gradients_are_counted_in_packs():
    messages = Messages()
    options = tf.distribute.experimental.CommunicationOptions(bytes_per_pack=BYTES_PER_PACK)
    messages.add([tf.TensorSpec([2**20 * 20])] * 4, options)  # 80 MiB each: a pack is full after one
    assert messages.summary("gradients") == (4, 4 * 80 * 2**20)


def test_the_arithmetic():
    peak = Accelerator(1000.0, 200.0, 100.0, 1000.0, 100.0, 5.0, 20.0)
    product = operations_of(traced_graph(lambda a, b: tf.matmul(a, b), [1000, 1000], [1000, 1000]))
    cells = operations_of(traced_graph(tf.nn.relu, [10**6]))
    messages = Messages()
    messages.sent = [("gradients", 10**8)]
    times = predict(product + cells, messages, 4, peak)
    assert times.compute == pytest.approx(0.02)
    # TF32 is for float32 trunks alone.
    assert predict(product, messages, 4, peak, "float32").compute == pytest.approx(0.01)
    assert (times.memory, times.memory_joined) == pytest.approx((20e6 / 1e12 * 1e3, 12e6 / 1e12 * 1e3))
    assert (times.device, times.device_joined) == pytest.approx(
        (0.02 + 0.008, 0.02)
    )  # the product, then the cells
    assert (times.starts, times.starts_joined) == pytest.approx((0.01, 0.005))
    assert (times.bandwidth, times.latency) == pytest.approx((1.5 * 1e8 / 1e11 * 1e3, 0.02))
    assert times.step == pytest.approx(0.028 + 1.5 + 0.02)
    assert times.step_joined == pytest.approx(0.02 + 1.5 + 0.02)
    slow = predict(product + cells, messages, 4, dataclasses.replace(peak, kernel_microseconds=50.0))
    assert (slow.step, slow.step_joined) == pytest.approx((0.1 + 1.52, 0.05 + 1.52))


@pytest.mark.slow
def test_the_report_of_one_device(capsys, monkeypatch):
    words = ["operations", "--preset=demo", "--size=96x32", "--batch=4", "--gpus=1", "--precision=float32"]
    monkeypatch.setattr(sys, "argv", words)
    operations.main()
    shown = capsys.readouterr().out
    assert "5,564 steps an epoch of 4 + 4" in shown
    for line in ("trainable parameters", "multiply-adds an image", "memory traffic", "Assumed: ", "images/s"):
        assert line in shown


def test_nothing_is_joined_on_several_gpus_as_xla_compiles_no_replicated_step(capsys):
    words = ["--epochs=100", "--images_per_core=100", "--images_per_process=700", "--reached=0.5"]
    arguments = argparse.Namespace(
        **{name[2:]: float(value) for name, value in (w.split("=") for w in words)}
    )
    times = Prediction(1.0, 4.0, 2.0, 4.0, 2.0, 3.0, 1.0, 0.0, 0.0)
    columns = [(gpus, 4, (10, 5), Messages(), times) for gpus in (1, 2)]
    operations.print_predictions(columns, arguments, small_recipe())
    shown = {line[:30].strip(): line[30:].split("  ") for line in capsys.readouterr().out.splitlines()[2:]}
    shown = {name: [cell.strip() for cell in cells if cell.strip()] for name, cells in shown.items()}
    assert shown["step, ms"] == ["4.0 / 2.0", "4.0"]
    assert shown["images/s"] == ["2,000 / 4,000", "4,000"]
    assert shown["CPU cores to feed them"] == ["20.0 / 40.0", "40.0"]
    assert shown["processes to feed them"] == ["3 / 6", "6"]
    assert shown["processes to feed that"] == ["2 / 3", "3"]


@pytest.mark.slow
def test_the_messages_are_those_of_two_real_replicas():
    command = ["-m", "benchmarks.scaling_case", "--strategy=mirrored", "--replicas=2"]
    ended = subprocess.run(
        [sys.executable, *command, "--size=96x32", "--batch=4"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    (told,) = [line for line in ended.stdout.splitlines() if line.startswith(MARK)]
    real = json.loads(told.removeprefix(MARK))["messages"]
    for norm, sync in (("synchronised", True), ("own", False)):
        messages = traced(small_recipe(sync_batch_norm=sync), 2, 2)[3]
        for variant in (f"{norm} live", f"{norm} silent"):
            for kind in ("gradients", "rows", "statistics"):
                assert real[variant][kind] == list(messages.summary(kind)), (variant, kind)
