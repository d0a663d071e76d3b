"""What a GPU would make of a traced step, asked of TensorFlow's kernel registry: no GPU is needed for that.

The `tensorflow` wheel is a CUDA build, so that the kernels it has for GPUs are registered here too.

    python -m tests.contracts.gpu_kernels METHOD [PRECISION]

lists the operations of a method's step, and on which kernels they would run.
"""

import functools
import sys
from collections import Counter

import tensorflow as tf
from tensorflow.python.framework import kernels, op_def_registry

# Run on any device, with their data where it is.
ANYWHERE = ("GPU", "DEFAULT")
# What TensorFlow 2.20 refuses to run on a GPU under `enable_op_determinism`, by the messages of its library
# ("A deterministic GPU implementation of ... is not currently available" and the like). Batch norm's gradient
# is refused where it is not of batch statistics, see `refused`.
REFUSED = frozenset(
    (
        "AdjustContrast",
        "AdjustContrastv2",
        "Bincount",
        "CropAndResizeGradBoxes",
        "CropAndResizeGradImage",
        "DebugNumericSummaryV2",
        "DenseBincount",
        "Dilation2DBackpropFilter",
        "Dilation2DBackpropInput",
        "FakeQuantWithMinMaxVarsGradient",
        "FakeQuantWithMinMaxVarsPerChannelGradient",
        "MaxPoolGradWithArgmax",
        "ResizeNearestNeighborGrad",
        "ScatterAdd",
        "ScatterDiv",
        "ScatterMax",
        "ScatterMin",
        "ScatterMul",
        "ScatterSub",
        "ScatterUpdate",
        "SoftmaxCrossEntropyWithLogits",
        "SparseSoftmaxCrossEntropyWithLogits",
        "SparseTensorDenseMatMul",
        "Timestamp",
    )
)
BATCH_NORM_GRADIENTS = frozenset(("FusedBatchNormGrad", "FusedBatchNormGradV2", "FusedBatchNormGradV3"))
# Python code behind a node runs on the host, whatever the registry says.
PYTHON = frozenset(("PyFunc", "PyFuncStateless", "EagerPyFunc"))


def nodes_of(function):
    """All nodes of a concrete function, those of library functions included."""
    graph = function.graph.as_graph_def()
    return [*graph.node, *(node for inner in graph.library.function for node in inner.node_def)]


def kinds_of(nodes):
    """One node for each operation and its types: hundreds instead of thousands."""
    return list({(node.op, str(types_of(node)), node.attr["is_training"].b): node for node in nodes}.values())


@functools.cache
def definition_of(op):
    """The operation's arguments and attributes."""
    return op_def_registry.get(op)


@functools.cache
def registered(op):
    """The kernels of an operation on a GPU or anywhere."""
    found = kernels.get_registered_kernels_for_op(op).kernel
    return [kernel for kernel in found if kernel.device_type in ANYWHERE]


def types_of(node):
    """{attribute: set of the types it stands for}, defaults included; enum numbers, as in the registry."""
    found = {
        attribute.name: attribute.default_value
        for attribute in definition_of(node.op).attr
        if attribute.type in ("type", "list(type)") and attribute.HasField("default_value")
    }
    found |= dict(node.attr)
    kinds = {name: value.WhichOneof("value") for name, value in found.items()}
    types = {name: {value.type} for name, value in found.items() if kinds[name] == "type"}
    return types | {name: set(found[name].list.type) for name, kind in kinds.items() if kind == "list"}


def floating_arguments(node):
    """(names of the node's inputs, of its outputs) that are floating-point data."""
    types, definition = types_of(node), definition_of(node.op)
    return tuple(
        {
            argument.name
            for argument in arguments
            if any(
                tf.dtypes.as_dtype(number).is_floating
                for number in ({argument.type} if argument.type else set())
                | types.get(argument.type_attr, set())
                | types.get(argument.type_list_attr, set())
            )
        }
        for arguments in (definition.input_arg, definition.output_arg)
    )


def kernels_of(node):
    """The registered kernels that take the node's types, on a GPU or anywhere."""
    types = types_of(node)
    return [
        kernel
        for kernel in registered(node.op)
        if all(
            types.get(constraint.name, set()) <= set(constraint.allowed_values.list.type)
            for constraint in kernel.constraint
        )
    ]


def computes_there(kernel, inputs, outputs):
    """Whether a kernel leaves floating-point data on the device; a number beside them may be the host's."""
    host = set(kernel.host_memory_arg)
    return outputs.isdisjoint(host) and not (inputs and inputs <= host)


def place_of(node):
    """Where a node would run: "GPU"; "host" = its data are integers on the host; "" = nowhere, or as floats.

    Kernels of device "DEFAULT" leave data where they are, and count as the GPU's unless they want them on the
    host.
    """
    floating, found = floating_arguments(node), kernels_of(node)
    found = [kernel for kernel in found if computes_there(kernel, *floating)]
    if node.op in PYTHON or not found:
        return ""
    definition = definition_of(node.op)
    named = {argument.name for argument in (*definition.input_arg, *definition.output_arg)}
    own = [kernel for kernel in found if kernel.device_type == "GPU"] or found
    return "host" if named and all(named <= set(kernel.host_memory_arg) for kernel in own) else "GPU"


def refused(node):
    """Whether a GPU refuses the node under determinism."""
    if node.op in BATCH_NORM_GRADIENTS:
        return not node.attr["is_training"].b
    return node.op in REFUSED


def draws(node):
    """Whether the node draws from a state outside of the graph: a resumed run would go on otherwise."""
    return "Random" in node.op and definition_of(node.op).is_stateful


def main(method, precision="float32"):
    """See the head of this file."""
    from tests.contracts.cases import case, traced_step

    of = case(method, precision=precision)
    counts = Counter((place_of(node) or "NOWHERE", node.op) for node in nodes_of(traced_step(of.model(), of)))
    for (place, op), count in sorted(counts.items()):
        print(f"{place:8}{count:6}  {op}")


if __name__ == "__main__":
    main(*sys.argv[1:])
