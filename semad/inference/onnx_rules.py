"""How each primitive of JAX becomes nodes of ONNX."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from semad.inference.onnx_graph import Graph, Tensor, Unsupported, Value

Rule = Callable[[Graph, Any, Sequence[Value]], Any]
"""(graph, equation, inputs) -> the name of the output, or of each."""


def _integers(values: Any) -> np.ndarray:
    return np.array(values, np.int64)  # also where there are none


def _node(operator: str) -> Rule:
    """An operator that takes the inputs as they are."""
    return lambda graph, equation, given: graph.add(operator, *given)


def _logical(operator: str) -> Rule:
    """An operator of truth values; JAX's takes the bits of integers too."""

    def rule(graph: Graph, equation: Any, given: Sequence[Value]) -> str:
        if equation.outvars[0].aval.dtype != bool:
            raise Unsupported(f"the bits of integers (JAX's primitive {equation.primitive.name})")
        return cast(str, graph.add(operator, *given))

    return rule


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
        raise Unsupported("a pad between elements")
    return cast(str, graph.add("Pad", given[0], np.concatenate([low, high]), given[1]))


def _stack(graph: Graph, equation: Any, given: Sequence[Value]) -> str:
    axis = equation.params["axis"]
    parts = [graph.add("Unsqueeze", value, _integers([axis])) for value in given]
    return cast(str, graph.add("Concat", *parts, axis=axis))


def _select(graph: Graph, equation: Any, given: Sequence[Value]) -> str:
    if len(given) != 3:
        raise Unsupported("a choice of more than two")
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
        raise Unsupported("a convolution by what is not known")
    weights = np.transpose(np.asarray(kernel), layout.rhs_spec)
    image = graph.add("Transpose", image, perm=layout.lhs_spec)
    if (spread > 1).any():
        margin = np.array(weights.shape[2:]) - 1
        pads = [*(margin - low), *(margin - high)]
        simple = np.ravel([params["window_strides"], params["rhs_dilation"]])
        if min(pads) < 0 or grouped or (simple > 1).any():
            raise Unsupported("such a transposed convolution")
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
        raise Unsupported("sums over such windows")
    planes = _reshaped(graph, given[0], (-1, 1, *shape[-2:]))
    ones = np.ones((1, 1, *size[-2:]), np.float32)
    pads = [*low[-2:], *high[-2:]]
    sums = graph.add("Conv", planes, ones, strides=strides[-2:], pads=pads)
    return _reshaped(graph, sums, equation.outvars[0].aval.shape)


RULES: dict[str, Rule] = {
    name: _node(operator)
    for name, operator in {
        **{"abs": "Abs", "add": "Add", "ceil": "Ceil", "cos": "Cos", "div": "Div", "eq": "Equal"},
        **{"erf": "Erf", "exp": "Exp", "floor": "Floor", "ge": "GreaterOrEqual", "gt": "Greater"},
        **{"le": "LessOrEqual", "log": "Log", "logistic": "Sigmoid", "lt": "Less", "max": "Max"},
        **{"min": "Min", "mul": "Mul", "neg": "Neg", "pow": "Pow", "sign": "Sign", "sin": "Sin"},
        **{"sqrt": "Sqrt", "stop_gradient": "Identity", "sub": "Sub", "tanh": "Tanh"},
    }.items()
} | {
    "and": _logical("And"),
    "broadcast_in_dim": _broadcast,
    "clamp": lambda graph, equation, given: graph.add(
        "Min", graph.add("Max", given[0], given[1]), given[2]
    ),
    "concatenate": lambda graph, equation, given: graph.add(
        "Concat", *given, axis=equation.params["dimension"]
    ),
    "conv_general_dilated": _convolution,
    "convert_element_type": lambda graph, equation, given: graph.convert(
        given[0], equation.params["new_dtype"]
    ),
    "dot_general": _dot,
    "integer_pow": lambda graph, equation, given: graph.add(
        "Pow", given[0], np.float32(equation.params["y"])
    ),
    "is_finite": lambda graph, equation, given: graph.add(
        "Not", graph.add("Or", graph.add("IsNaN", *given), graph.add("IsInf", *given))
    ),
    "log1p": lambda graph, equation, given: graph.add(
        "Log", graph.add("Add", given[0], np.float32(1))
    ),
    "ne": _nodes("Equal", "Not"),
    "not": _logical("Not"),
    "or": _logical("Or"),
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
