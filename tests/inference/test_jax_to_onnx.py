"""Graphs of ONNX against the functions of JAX that they were made of."""

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest
from jax import lax

from semad.errors import UserError
from semad.inference.jax_to_onnx import to_onnx
from semad.run.state import init_population
from semad.run.system import build
from semad.scoring.batched import ScoringState, make_scorer
from tests import tiny

NHWC = ("NHWC", "HWIO", "NHWC")


def run(function, value):
    """The outputs of the graph by name, and the graph."""
    model = to_onnx(function, jax.ShapeDtypeStruct(value.shape, value.dtype), "x")
    session = onnxruntime.InferenceSession(model)
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(names, {"x": value}), strict=True))
    return found, onnx.load_from_string(model).graph


def kernel(*shape):
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


X = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype(np.float32)
FUNCTIONS = {
    "elementwise": lambda x: jnp.exp(-jnp.abs(x)) * jnp.tanh(x) + jnp.sign(x) / (1 + x * x) - x,
    "roots": lambda x: jnp.sqrt(jnp.abs(x)) + lax.rsqrt(1 + jnp.square(x)),
    "logarithms": lambda x: jnp.log(2 + jnp.abs(x)) + jnp.log1p(jnp.abs(x)) + jax.nn.sigmoid(x),
    "powers": lambda x: x**3 + jnp.abs(x) ** 0.7 + lax.integer_pow(2 + jnp.abs(x), -2),
    "waves": lambda x: jnp.sin(x) + jnp.cos(x) * jnp.floor(x) + jnp.ceil(x) + lax.erf(x),
    "bounds": lambda x: jnp.clip(x, -0.5, 0.5) + lax.stop_gradient(lax.clamp(-0.1, x, 0.2)),
    "choices": lambda x: jnp.where((x > 0) & (x <= 1) | (x < -1), x, 2 * x),
    "comparisons": lambda x: (
        ((x >= x[:1]) & ~(x == x[:1])).astype(jnp.float32) + (x != x[1:]).astype(jnp.float32)
    ),
    "finite": lambda x: jnp.isfinite(1 / jnp.maximum(x, 0)).astype(jnp.float32),
    "shapes": lambda x: jnp.transpose(x.reshape(2, 36, 3), (2, 0, 1))[:, 1:2, ::5],
    "mirrored": lambda x: jnp.flip(x, (1, 2)) + jnp.flip(x, ()),
    "stacked": lambda x: jnp.stack([x[..., 0], x[..., 2]], axis=1),
    "joined": lambda x: jnp.concatenate([x, x[..., :1]], axis=-1),
    "split": lambda x: jnp.split(x, 3, axis=-1)[1],
    "padded": lambda x: jnp.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0)), constant_values=7.0),
    "reduced": lambda x: x.max(axis=(1, 2)) - x.min(axis=(1, 2)) + x.sum(axis=(1, 2)),
    "broadcast": lambda x: jnp.broadcast_to(x[:, None, :, :, 0], (2, 4, 6, 6)),
    "inner": lambda x: jnp.einsum("nhwc,cd->nhwd", x, kernel(3, 5)),
    "batched": lambda x: jnp.einsum("kde,nke->nkd", kernel(6, 4, 6), x[..., 0]),
    "left": lambda x: jnp.einsum("hg,nhwc->gnwc", kernel(6, 7), x),
    "convolved": lambda x: lax.conv_general_dilated(
        x, kernel(4, 3, 3, 5), (2, 1), ((1, 2), (0, 1)), dimension_numbers=NHWC
    ),
    "grouped": lambda x: lax.conv_general_dilated(
        x, kernel(3, 3, 1, 3), (1, 1), "SAME", None, (2, 2), NHWC, feature_group_count=3
    ),
    "transposed": lambda x: lax.conv_transpose(
        x, kernel(4, 5, 3, 2), (2, 2), "SAME", dimension_numbers=NHWC
    ),
    "window sums": lambda x: lax.reduce_window(
        x[..., 0], 0.0, lax.add, (1, 3, 2), (1, 2, 1), ((0, 0), (1, 1), (0, 1))
    ),
    "derivatives": lambda x: jax.nn.leaky_relu(x, 0.2) + jax.nn.logsumexp(x, 3, keepdims=True),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_gives_the_same(name):
    function = FUNCTIONS[name]
    found, _ = run(lambda x: {"y": function(x)}, X)
    expected = function(jnp.asarray(X))
    assert found["y"].shape == expected.shape
    np.testing.assert_allclose(found["y"], expected, rtol=1e-5, atol=1e-5)


def test_a_leaky_relu_is_one_node_and_what_is_called_so_is_not():
    found, graph = run(lambda x: {"y": jax.nn.leaky_relu(x, 0.25)}, X)
    assert [node.op_type for node in graph.node] == ["LeakyRelu", "Identity"]
    np.testing.assert_array_equal(found["y"], np.where(X >= 0, X, X / 4))

    @jax.jit
    def leaky_relu(x, slope):
        return x * slope

    found, _ = run(lambda x: {"y": leaky_relu(x, 0.25)}, X)
    np.testing.assert_array_equal(found["y"], X / 4)


def test_only_what_an_output_needs_of_the_input_is_a_node():
    def function(x):
        jnp.tanh(x)
        noise = jax.random.normal(jax.random.key(0), (1_000, 3))
        return {"sum": x + jnp.sort(noise, axis=0)[0, 0], "constant": jnp.ones((64, 64)) * 2}

    found, graph = run(function, X)
    kinds = sorted(node.op_type for node in graph.node)
    assert kinds == ["Add", "Expand", "Expand", "Identity", "Identity"]  # small constants
    np.testing.assert_array_equal(found["constant"], np.full((64, 64), 2.0, np.float32))
    assert sum(constant.ByteSize() for constant in graph.initializer) < 200  # not 64 × 64


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda x: jnp.sort(x), "primitive sort"),
        (lambda x: x.astype(jnp.int32) & 3, "bits of integers"),
        (lambda x: lax.pad(x, 0.0, ((0, 0, 0), (0, 0, 1), (0, 0, 0), (0, 0, 0))), "pad between"),
        (
            lambda x: lax.conv_general_dilated(
                x, x[0, ..., None], (1, 1), "SAME", dimension_numbers=NHWC
            ),
            "convolution",
        ),
    ],
)
def test_what_cannot_be_translated_is_said(function, says):
    with pytest.raises(UserError, match=f"{says}.*--format=stablehlo"):
        run(lambda x: {"y": function(x)}, X)


@pytest.mark.parametrize("name", [name for name in tiny.NAMES if not tiny.BUILT[name].searches])
def test_every_system_that_scores_in_one_pass(name):
    """Untrained; scores and maps of mirror images, standardised."""
    config = tiny.config(name, data__name="nanofibres", score__flips="all")
    config.data.normalisation = "standardise"
    system = build(config)
    state = jax.tree.map(lambda leaf: leaf[0], init_population(system.method, [0]))
    scalars = {name: values[0] for name, values in system.hparams.items()}
    scorer = make_scorer(system.method, maps=True)

    def score(patches):
        scored = scorer(ScoringState(state.ema, scalars, jax.random.key(3)), patches)
        return {f"map_{name}": values for name, values in scored.maps.items()} | scored.scores

    patches = np.random.default_rng(0).random((3, 16, 16, 1), np.float32)
    found, _ = run(score, patches)
    expected = make_scorer(system.method, maps=True)(
        ScoringState(state.ema, scalars, jax.random.key(3)), patches
    )
    for name, values in expected.scores.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5)
    for name, values in expected.maps.items():
        np.testing.assert_allclose(found[f"map_{name}"], values, rtol=1e-4, atol=1e-5)
