"""A function of JAX as a graph of ONNX, equation by equation.

Shapes are fixed. What does not depend on the inputs (all that is made of weights, masks and random
keys alone) is computed while the graph is written; so a few dozen primitives are left to translate.

jax2onnx, which does the like, cannot be installed beside Orbax 0.12 in its newest release (0.17.1);
the last one that can (0.12.5) turns transposed convolutions into others.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import jax
import numpy as np
import onnx
from jax.extend import core
from onnx import helper, numpy_helper

from semad.errors import UserError

OPSET = 18
"""The oldest in which all reductions take their axes alike."""
IR_VERSION = 8
"""The one of its time: onnxruntime 1.14 and newer read it."""


class Tensor(NamedTuple):
    """What is known only when the graph runs."""

    name: str
    shape: tuple[int, ...]


Value = Tensor | jax.Array | np.ndarray


class Graph:
    """Nodes and constants, in the order in which they are added."""

    def __init__(self) -> None:
        """An empty graph."""
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: Value | str, outputs: int = 1, **attributes: Any) -> Any:
        """A node; returns the name of its output, or of each of its outputs."""
        given = [value if isinstance(value, str) else self.name(value) for value in inputs]
        names = [f"{operator}_{len(self.nodes)}_{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(operator, given, names, **attributes))
        return names[0] if outputs == 1 else names

    def name(self, value: Value) -> str:
        """The name of a tensor, or of a new constant."""
        if isinstance(value, Tensor):
            return value.name
        array = np.asarray(value)
        name = f"constant_{len(self.constants)}"
        same = tuple(_same_along(array, axis) for axis in range(array.ndim))
        small = array[tuple(slice(0, 1) if alike else slice(None) for alike in same)]
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(small), name))
        if small.shape == array.shape:
            return name
        return cast(str, self.add("Expand", name, _integers(array.shape)))  # masks of many patches


def _integers(values: Any) -> np.ndarray:
    return np.array(values, np.int64)  # also where there are none


def _same_along(array: np.ndarray, axis: int) -> bool:
    return array.shape[axis] > 1 and bool((array == array.take([0], axis)).all())


class _Unsupported(Exception):  # noqa: N818
    """A primitive, or a form of one, that has no translation."""


Rule = Callable[[Graph, Any, Sequence[Value]], Any]
"""(graph, equation, inputs) -> the name of the output, or of each."""


def to_onnx(
    function: Callable[[jax.Array], dict[str, jax.Array]], example: jax.ShapeDtypeStruct, name: str
) -> onnx.ModelProto:
    """The graph of a function of one array, which returns arrays by name.

    Args:
      function: of JAX.
      example: shape and dtype of the input; both are fixed.
      name: of the input.

    Raises:
      UserError: for a primitive that has no translation here.
    """
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(example)
    graph = Graph()
    try:
        values = _walk(graph, closed.jaxpr, closed.consts, [Tensor(name, example.shape)])
    except _Unsupported as error:
        raise UserError(
            f"the score uses {error}, which is not translated to ONNX; use --format=stablehlo"
        ) from error
    names = sorted(shapes)  # as JAX flattens a dict
    for value, output in zip(values, names, strict=True):
        graph.nodes.append(helper.make_node("Identity", [graph.name(value)], [output]))
    outputs = [_described(output, shapes[output]) for output in names]
    nodes, constants = _needed(graph, set(names))
    made = helper.make_graph(nodes, "semad", [_described(name, example)], outputs, constants)
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(
        made, opset_imports=opset, ir_version=IR_VERSION, producer_name="semad"
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _described(name: str, like: Any) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _element(like.dtype), like.shape)


def _element(dtype: Any) -> int:
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def _needed(graph: Graph, outputs: set[str]) -> tuple[list[onnx.NodeProto], list[Any]]:
    """The nodes and constants that outputs depend on."""
    nodes = []
    for node in reversed(graph.nodes):
        if outputs & set(node.output):
            nodes.append(node)
            outputs |= set(node.input)
    return nodes[::-1], [constant for constant in graph.constants if constant.name in outputs]


def _walk(
    graph: Graph, jaxpr: core.Jaxpr, constants: Sequence[Any], inputs: Sequence[Value]
) -> list[Value]:
    """Adds the equations of a program that depend on tensors, and computes the others."""
    values: dict[Any, Value] = dict(zip(jaxpr.constvars, constants, strict=True))
    values |= zip(jaxpr.invars, inputs, strict=True)

    def read(atom: Any) -> Value:
        if isinstance(atom, core.Literal):
            return np.asarray(atom.val, cast(Any, atom.aval).dtype)
        return values[atom]

    for equation in jaxpr.eqns:
        given = [read(atom) for atom in equation.invars]
        values |= zip(equation.outvars, _results(graph, equation, given), strict=True)
    return [read(atom) for atom in jaxpr.outvars]


def _results(graph: Graph, equation: Any, given: Sequence[Value]) -> Sequence[Value]:
    primitive, params = equation.primitive, equation.params
    if primitive.name in _CALLS:
        inner = params["jaxpr" if "jaxpr" in params else "call_jaxpr"]
        return _walk(graph, inner.jaxpr, inner.consts, given)
    if not any(isinstance(value, Tensor) for value in given):
        known = primitive.bind(*given, **params)
        return known if primitive.multiple_results else [known]
    if primitive.name not in RULES:
        raise _Unsupported(f"JAX's primitive {primitive.name}")
    names = RULES[primitive.name](graph, equation, given)
    names = [names] if isinstance(names, str) else names
    return [
        Tensor(name, variable.aval.shape)
        for name, variable in zip(names, equation.outvars, strict=True)
    ]


_CALLS = ("jit", "closed_call", "custom_jvp_call", "custom_vjp_call", "checkpoint")


def _node(operator: str) -> Rule:
    """An operator that takes the inputs as they are."""
    return lambda graph, equation, given: graph.add(operator, *given)


def _nodes(*operators: str) -> Rule:
    """Operators one after the other, the first of which takes the inputs."""

    def rule(graph: Graph, equation: Any, given: Sequence[Value]) -> str:
        name = graph.add(operators[0], *given)
        for operator in operators[1:]:
            name = graph.add(operator, name)
        return cast(str, name)

    return rule


def _reduction(operator: str) -> Rule:
    return lambda graph, equation, given: graph.add(
        operator, given[0], _integers(equation.params["axes"]), keepdims=0
    )


def _reshape(graph: Graph, equation: Any, given: Sequence[Value]) -> str:
    return _reshaped(graph, given[0], equation.outvars[0].aval.shape)


def _reshaped(graph: Graph, value: Value | str, shape: Sequence[int] | np.ndarray) -> str:
    return cast(str, graph.add("Reshape", value, _integers(shape)))


def _broadcast(graph: Graph, equation: Any, given: Sequence[Value]) -> str:
    shape = equation.params["shape"]
    aligned = np.ones(len(shape), np.int64)
    aligned[list(equation.params["broadcast_dimensions"])] = given[0].shape
    return cast(str, graph.add("Expand", _reshaped(graph, given[0], aligned), _integers(shape)))


def _slice(graph: Graph, equation: Any, given: Sequence[Value]) -> str:
    params = equation.params
    starts, ends = _integers(params["start_indices"]), _integers(params["limit_indices"])
    steps = _integers(params["strides"] or [1] * len(starts))
    return cast(str, graph.add("Slice", given[0], starts, ends, np.arange(len(starts)), steps))


def _reverse(graph: Graph, equation: Any, given: Sequence[Value]) -> str:
    axes = _integers(equation.params["dimensions"])
    backwards = np.full_like(axes, -1)
    before_all = np.full_like(axes, np.iinfo(np.int64).min)
    return cast(str, graph.add("Slice", given[0], backwards, before_all, axes, backwards))


def _pad(graph: Graph, equation: Any, given: Sequence[Value]) -> str:
    low, high, between = _integers(equation.params["padding_config"]).T
    if between.any():
        raise _Unsupported("a pad between elements")
    return cast(str, graph.add("Pad", given[0], np.concatenate([low, high]), given[1]))


def _stack(graph: Graph, equation: Any, given: Sequence[Value]) -> str:
    axis = equation.params["axis"]
    parts = [graph.add("Unsqueeze", value, _integers([axis])) for value in given]
    return cast(str, graph.add("Concat", *parts, axis=axis))


def _select(graph: Graph, equation: Any, given: Sequence[Value]) -> str:
    if len(given) != 3:
        raise _Unsupported("a choice of more than two")
    return cast(str, graph.add("Where", given[0], given[2], given[1]))


def _split(graph: Graph, equation: Any, given: Sequence[Value]) -> Sequence[str]:
    sizes = _integers(equation.params["sizes"])
    names = graph.add(
        "Split", given[0], sizes, outputs=len(sizes), axis=int(equation.params["axis"])
    )
    return cast(Sequence[str], names)


def _dot(graph: Graph, equation: Any, given: Sequence[Value]) -> str:
    """Both sides as (batch, rows, columns), for MatMul."""
    contracted, batched = equation.params["dimension_numbers"]
    shape = equation.outvars[0].aval.shape
    sides = []
    for number, value in enumerate(given):
        sums, batch = contracted[number], batched[number]
        free = [axis for axis in range(len(value.shape)) if axis not in (*sums, *batch)]
        order = (*batch, *free, *sums) if number == 0 else (*batch, *sums, *free)
        sizes = [int(np.prod([value.shape[axis] for axis in axes])) for axes in (batch, free, sums)]
        rows_columns = (sizes[1], sizes[2]) if number == 0 else (sizes[2], sizes[1])
        turned = graph.add("Transpose", value, perm=order)
        sides.append(_reshaped(graph, turned, (sizes[0], *rows_columns)))
    return _reshaped(graph, graph.add("MatMul", *sides), shape)


def _convolution(graph: Graph, equation: Any, given: Sequence[Value]) -> str:
    """Of an image by a known kernel; spread images (`lhs_dilation`) by ConvTranspose."""
    params, (image, kernel) = equation.params, given
    layout = params["dimension_numbers"]
    low, high = _integers(params["padding"]).T
    spread, grouped = _integers(params["lhs_dilation"]), params["feature_group_count"] > 1
    if isinstance(kernel, Tensor) or params["batch_group_count"] > 1:
        raise _Unsupported("a convolution by what is not known")
    weights = np.transpose(np.asarray(kernel), layout.rhs_spec)
    image = graph.add("Transpose", image, perm=layout.lhs_spec)
    if (spread > 1).any():
        margin = np.array(weights.shape[2:]) - 1
        pads = [*(margin - low), *(margin - high)]
        simple = np.ravel([params["window_strides"], params["rhs_dilation"]])
        if min(pads) < 0 or grouped or (simple > 1).any():
            raise _Unsupported("such a transposed convolution")
        turned = weights.swapaxes(0, 1)[:, :, ::-1, ::-1]
        made = graph.add("ConvTranspose", image, turned, strides=spread, pads=pads)
    else:
        made = graph.add(
            "Conv",
            *(image, weights),
            strides=params["window_strides"],
            pads=[*low, *high],
            dilations=params["rhs_dilation"],
            group=params["feature_group_count"],
        )
    return cast(str, graph.add("Transpose", made, perm=np.argsort(layout.out_spec)))


def _window_sum(graph: Graph, equation: Any, given: Sequence[Value]) -> str:
    """Sums over windows of the last two axes, as a convolution by ones."""
    params, shape = equation.params, given[0].shape
    low, high = _integers(params["padding"]).T
    size, strides = params["window_dimensions"], params["window_strides"]
    dilated = np.ravel([params["base_dilation"], params["window_dilation"]]) > 1
    if dilated.any() or max(size[:-2]) > 1 or max(strides[:-2]) > 1 or (low + high)[:-2].any():
        raise _Unsupported("sums over such windows")
    planes = _reshaped(graph, given[0], (-1, 1, *shape[-2:]))
    ones = np.ones((1, 1, *size[-2:]), np.float32)
    pads = [*low[-2:], *high[-2:]]
    sums = graph.add("Conv", planes, ones, strides=strides[-2:], pads=pads)
    return _reshaped(graph, sums, equation.outvars[0].aval.shape)


RULES: dict[str, Rule] = {
    name: _node(operator)
    for name, operator in {
        **{"abs": "Abs", "add": "Add", "and": "And", "div": "Div", "eq": "Equal", "exp": "Exp"},
        **{"ge": "GreaterOrEqual", "gt": "Greater", "le": "LessOrEqual", "log": "Log"},
        **{"logistic": "Sigmoid", "lt": "Less", "max": "Max", "min": "Min", "mul": "Mul"},
        **{"neg": "Neg", "not": "Not", "or": "Or", "sign": "Sign", "sqrt": "Sqrt"},
        **{"stop_gradient": "Identity", "sub": "Sub", "tanh": "Tanh"},
    }.items()
} | {
    "broadcast_in_dim": _broadcast,
    "concatenate": lambda graph, equation, given: graph.add(
        "Concat", *given, axis=equation.params["dimension"]
    ),
    "conv_general_dilated": _convolution,
    "convert_element_type": lambda graph, equation, given: graph.add(
        "Cast", given[0], to=_element(equation.params["new_dtype"])
    ),
    "dot_general": _dot,
    "is_finite": lambda graph, equation, given: graph.add(
        "Not", graph.add("Or", graph.add("IsNaN", *given), graph.add("IsInf", *given))
    ),
    "log1p": lambda graph, equation, given: graph.add(
        "Log", graph.add("Add", given[0], np.float32(1))
    ),
    "ne": _nodes("Equal", "Not"),
    "pad": _pad,
    "reduce_max": _reduction("ReduceMax"),
    "reduce_min": _reduction("ReduceMin"),
    "reduce_sum": _reduction("ReduceSum"),
    "reduce_window_sum": _window_sum,
    "reshape": _reshape,
    "rev": _reverse,
    "rsqrt": _nodes("Sqrt", "Reciprocal"),
    "select_n": _select,
    "slice": _slice,
    "split": _split,
    "square": lambda graph, equation, given: graph.add("Mul", given[0], given[0]),
    "squeeze": _reshape,
    "stack": _stack,
    "transpose": lambda graph, equation, given: graph.add(
        "Transpose", given[0], perm=equation.params["permutation"]
    ),
}
"""By JAX's primitives."""
