"""A function of JAX as a graph of ONNX, equation by equation.

Shapes are fixed. What does not depend on the inputs (all that is made of weights, masks and random
keys alone) is computed while the graph is written; so a few dozen primitives are left to translate.

jax2onnx, which does the like, cannot be installed beside Orbax 0.12 in its newest release (0.17.1);
the last one that can (0.12.5) turns transposed convolutions into others.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import jax
import numpy as np
from jax.extend import core

from semad.errors import UserError
from semad.inference.onnx_graph import Graph, Tensor, Unsupported, Value
from semad.inference.onnx_rules import RULES

_CALLS = ("jit", "closed_call", "custom_jvp_call", "custom_vjp_call", "checkpoint")
"""Primitives that hold a program to be run as it is."""


def to_onnx(
    function: Callable[[jax.Array], dict[str, jax.Array]], example: jax.ShapeDtypeStruct, name: str
) -> bytes:
    """The serialised model of a function of one array, which returns arrays by name.

    Args:
      function: of JAX.
      example: shape and dtype of the input; both are fixed.
      name: of the input.

    Raises:
      UserError: for a primitive that has no translation.
    """
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(example)
    graph = Graph()
    try:
        values = _walk(graph, closed.jaxpr, closed.consts, [Tensor(name, example.shape)])
    except Unsupported as error:
        raise UserError(
            f"the score uses {error}, which is not translated to ONNX; use --format=stablehlo"
        ) from error
    by_name = dict(zip(sorted(shapes), values, strict=True))  # as JAX flattens a dict
    return graph.model({name: example}, shapes, by_name).SerializeToString()


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
        if _is_leaky_relu(equation, inner, given):
            name = graph.add("LeakyRelu", given[0], alpha=float(np.asarray(given[1])))
            return [Tensor(name, given[0].shape)]
        return _walk(graph, inner.jaxpr, inner.consts, given)
    if not any(isinstance(value, Tensor) for value in given):
        known = primitive.bind(*given, **params)
        return known if primitive.multiple_results else [known]
    if primitive.name not in RULES:
        raise Unsupported(f"JAX's primitive {primitive.name}")
    names = RULES[primitive.name](graph, equation, given)
    names = [names] if isinstance(names, str) else names
    return [
        Tensor(name, variable.aval.shape)
        for name, variable in zip(names, equation.outvars, strict=True)
    ]


def _is_leaky_relu(equation: Any, inner: core.ClosedJaxpr, given: Sequence[Value]) -> bool:
    """Whether a call is jax.nn's: its choice, as such, would take half of onnxruntime's time."""
    if equation.params.get("name") != "leaky_relu" or len(given) != 2:
        return False
    if not isinstance(given[0], Tensor) or isinstance(given[1], Tensor):
        return False
    (known,) = jax.make_jaxpr(jax.nn.leaky_relu)(*inner.in_avals).eqns
    return str(known.params["jaxpr"]) == str(inner)
