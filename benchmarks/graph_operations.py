"""The operations in the traced graph of a training step: their products and their memory traffic."""

import dataclasses
import math
import re

import tensorflow as tf

# Without work of their own: shapes, constants, other views of a tensor. A variable is read by its user.
FREE = re.compile(
    "Const|Placeholder|Identity(N)?|Reshape|ExpandDims|Squeeze|Shape(N)?|Size|NoOp|StopGradient|PreventGradient|"
    "ReadVariableOp|BroadcastGradientArgs|EnsureShape|StatelessRandomGetKeyCounter"
)
# Cell by cell: a compiler computes these on the way into, or out of, another operation.
CELLWISE = re.compile(
    "Add(V2|N)?|Sub|Mul|RealDiv|DivNoNan|MulNoNan|Neg|Square|Sqrt|Rsqrt(Grad)?|Reciprocal|Inv|Exp|Log|Abs|Sign|"
    "Maximum|Minimum|Relu(Grad)?|Cast|Pad(V2)?|(Strided)?Slice|Select(V2)?|BroadcastTo|Tile|Fill|"
    "(Zeros|Ones)Like|(Greater|Less)(Equal)?|(Not)?Equal|Logical(And|Or|Not)|IsFinite"
)
CALLS = ("PartitionedCall", "StatefulPartitionedCall")
LOOPS = ("While", "StatelessWhile", "If", "StatelessIf", "Case")


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation of the graph.

    Attributes:
        kind: TensorFlow's name of its type.
        half: whether its products are of 16-bit numbers.
        multiply_adds: of a convolution or matrix product, else 0.
        bytes: of its inputs and outputs, each once.
    """

    kind: str
    half: bool
    multiply_adds: int
    bytes: int

    @property
    def cellwise(self):
        """Whether a compiler may join it with its neighbours."""
        return CELLWISE.fullmatch(self.kind) is not None


def operations(graph):
    """What a traced graph has to do.

    Args:
        graph: `FuncGraph` of known shapes.

    Returns:
        list of `Operation`, without those that nothing depends on or that have no work.

    Raises:
        ValueError: a loop or branch, whose operations cannot be counted.
    """
    found, waiting, seen = [], [tensor.op for tensor in graph.outputs] + list(graph.control_outputs), set()
    while waiting:
        op = waiting.pop()
        if op in seen:
            continue
        seen.add(op)
        waiting += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
        if op.type in LOOPS:
            raise ValueError(f"{op.name} is a {op.type}; expected a step without loops: use --accumulate=1")
        if op.type in CALLS:
            found += operations(op.graph._get_function(op.get_attr("f").name).graph)
        elif not FREE.fullmatch(op.type) and any(_works(t) for t in [*op.inputs, *op.outputs]):
            found.append(_operation(op))
    return found


def _works(tensor):
    """Whether a tensor is data rather than a shape or a handle."""
    return tensor.dtype.is_floating and tensor.shape.num_elements() != 0


def _operation(op):
    products = _products(op)
    tensors = [tensor for tensor in [*op.inputs, *op.outputs] if tensor.dtype != tf.resource]
    # Only what batch norm keeps for its own gradient has no shape in the graph; it is a vector at most.
    sizes = [(tensor.shape.num_elements() or 0) * tensor.dtype.size for tensor in tensors]
    if op.type == "ResourceApplyMomentum":  # Reads gradient, variable, velocity; writes the last two.
        sizes = [5 * max(sizes)]
    return Operation(op.type, bool(products) and op.outputs[0].dtype.size == 2, products, sum(sizes))


def _products(op):
    """Multiply-adds of an operation."""
    shapes = [tensor.shape for tensor in op.inputs]
    if op.type == "Conv2D":
        return op.outputs[0].shape.num_elements() * math.prod(shapes[1][:3])
    if op.type in ("Conv2DBackpropInput", "Conv2DBackpropFilter"):
        kernel = shapes[1] if op.type.endswith("Input") else op.outputs[0].shape
        return shapes[2].num_elements() * math.prod(kernel[:3])
    if op.type == "MatMul":
        return op.outputs[0].shape.num_elements() * shapes[0][0 if op.get_attr("transpose_a") else 1]
    if op.type.startswith("BatchMatMul"):
        return op.outputs[0].shape.num_elements() * shapes[0][-2 if op.get_attr("adj_x") else -1]
    if op.type == "Einsum":
        names = op.get_attr("equation").decode().split("->")[0].split(",")
        extent = {
            letter: length
            for part, shape in zip(names, shapes, strict=True)
            for letter, length in zip(
                part.replace("...", ""), shape[-len(part.replace("...", "")) :], strict=True
            )
        }
        return math.prod(extent.values())
    return 0
