"""The graph of a step does what the eager step does, and a GPU could run all of it.

One trace of each method serves both.
"""

import numpy as np
import pytest

from mmgl_tf.modes.model import prepare
from mmgl_tf.training.checkpoints import collect, restore
from tests.contracts import gpu_kernels
from tests.contracts.cases import METHODS, case, traced_step
from tests.contracts.course import course


@pytest.fixture(scope="module", params=METHODS)
def traced(request):
    """(course, function that takes its first step)."""
    of, taken = case(request.param), course(request.param)
    prepare(of.config)
    restore(taken.model, taken.start)
    return taken, traced_step(taken.model, of)


def test_the_graph_takes_the_eager_step(traced):
    taken, step = traced
    restore(taken.model, taken.start)
    figures = {name: float(value) for name, value in step(case(taken.method).batch()).items()}
    assert set(figures) == set(taken.figures)
    # Accuracies of an untrained network hang on ties that rounding decides.
    for name in (name for name in figures if name.startswith(("loss/", "gradient/"))):
        assert figures[name] == pytest.approx(taken.figures[name], rel=1e-3, abs=1e-5), name
    found = collect(taken.model)
    for name in taken.trained[0] | set(taken.moves):
        moved = np.linalg.norm(taken.stepped[name] - taken.start[name])
        assert np.linalg.norm(found[name] - taken.stepped[name]) <= 0.02 * moved + 1e-6, name


def test_a_gpu_has_a_kernel_for_every_operation(traced):
    assert_gpu_runs(traced[1])


@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 2])
@pytest.mark.parametrize("method", [method for method in METHODS if len(case(method).stages) > 1])
def test_a_gpu_has_a_kernel_for_every_operation_of_later_stages(method, stage):
    of = case(method)
    assert_gpu_runs(traced_step(of.model(), of, of.stages[stage]))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("method", METHODS)
def test_a_gpu_has_a_kernel_for_every_operation_in_half_precision(method, precision):
    of = case(method, precision=precision)
    assert_gpu_runs(traced_step(of.model(), of))


def assert_gpu_runs(function):
    nodes = gpu_kernels.kinds_of(gpu_kernels.nodes_of(function))
    assert not {node.op for node in nodes if not gpu_kernels.place_of(node)}, "no GPU kernel for their types"
    assert not {node.op for node in nodes if gpu_kernels.refused(node)}, "refused under determinism"
    assert not {node.op for node in nodes if gpu_kernels.draws(node)}, "not a function of seed and step"
