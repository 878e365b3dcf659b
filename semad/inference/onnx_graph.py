"""A graph of ONNX as it grows: nodes, constants, and the model of them."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import jax
import numpy as np
import onnx
from onnx import helper, numpy_helper

OPSET = 18
"""The oldest in which all reductions take their axes alike."""
IR_VERSION = 8
"""The one of its time: onnxruntime 1.14 and newer read it."""


class Unsupported(Exception):  # noqa: N818
    """A primitive of JAX, or a form of one, that has no translation; the message names it."""


class Tensor(NamedTuple):
    """What is known only when the graph runs."""

    name: str
    shape: tuple[int, ...]


Value = Tensor | jax.Array | np.ndarray


class Graph:
    """Nodes and constants, in the order in which they are added."""

    def __init__(self) -> None:
        """An empty graph."""
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: Value | str, outputs: int = 1, **attributes: Any) -> Any:
        """A node; returns the name of its output, or of each of its outputs."""
        given = [value if isinstance(value, str) else self._name(value) for value in inputs]
        names = [f"{operator}_{len(self._nodes)}_{number}" for number in range(outputs)]
        self._nodes.append(helper.make_node(operator, given, names, **attributes))
        return names[0] if outputs == 1 else names

    def convert(self, value: Value, dtype: Any) -> str:
        """A node that changes the dtype."""
        return cast(str, self.add("Cast", value, to=_element(dtype)))

    def _name(self, value: Value) -> str:
        """The name of a tensor, or of a new constant."""
        if isinstance(value, Tensor):
            return value.name
        array = np.asarray(value)
        name = f"constant_{len(self._constants)}"
        same = (_same_along(array, axis) for axis in range(array.ndim))
        small = array[tuple(slice(0, 1) if alike else slice(None) for alike in same)]
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(small), name))
        if small.shape == array.shape:
            return name
        # Masks are the same for many patches.
        return cast(str, self.add("Expand", name, np.array(array.shape, np.int64)))

    def model(
        self, inputs: Mapping[str, Any], outputs: Mapping[str, Any], values: Mapping[str, Value]
    ) -> onnx.ModelProto:
        """The checked model, without what no output needs.

        Args:
          inputs, outputs: name -> what has its shape and dtype.
          values: output -> its value.
        """
        for name, value in values.items():
            self._nodes.append(helper.make_node("Identity", [self._name(value)], [name]))
        needed, nodes = set(outputs), []
        for node in reversed(self._nodes):
            if needed & set(node.output):
                nodes.append(node)
                needed |= set(node.input)
        graph = helper.make_graph(
            nodes[::-1],
            "semad",
            [_described(name, like) for name, like in inputs.items()],
            [_described(name, like) for name, like in outputs.items()],
            [constant for constant in self._constants if constant.name in needed],
        )
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(
            graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="semad"
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def _same_along(array: np.ndarray, axis: int) -> bool:
    return array.shape[axis] > 1 and bool((array == array.take([0], axis)).all())


def _described(name: str, like: Any) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _element(like.dtype), like.shape)


def _element(dtype: Any) -> int:
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
