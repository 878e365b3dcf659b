"""The implementations of the convolutions agree, with each other and with Flax."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from semad.nets.conv import conv, conv_transpose
from semad.utils import backend

# kernel, stride, height, width, channels in, channels out
CASES = [
    (1, 2, 5, 6, 5, 6),
    (3, 1, 5, 4, 6, 5),
    (3, 2, 7, 8, 6, 5),
    (4, 1, 6, 6, 5, 1),
    (4, 2, 8, 8, 1, 6),
    (4, 2, 8, 4, 6, 5),
    (4, 2, 7, 6, 6, 5),
    (4, 2, 4, 4, 32, 32),  # as many as minimal filtering takes
    (5, 1, 6, 7, 6, 1),
    (5, 2, 7, 8, 6, 5),
    (4, 1, 3, 4, 5, 6),  # few pixels
    (5, 2, 2, 4, 6, 5),
    (5, 2, 8, 12, 6, 5),  # few in the gradient alone
    (5, 1, 12, 12, 4, 1),
    (5, 2, 12, 12, 1, 4),
    (4, 2, 16, 18, 6, 5),  # pixels and channels enough for phases by XLA's own
    (5, 2, 20, 16, 6, 5),
    (5, 1, 16, 17, 6, 5),
    (5, 3, 18, 18, 6, 5),
    (1, 2, 16, 16, 6, 5),  # phases without a tap
]
cases = pytest.mark.parametrize("case", CASES, ids=lambda c: "k{}s{}_{}x{}_{}to{}".format(*c))
functions = pytest.mark.parametrize("function", [conv, conv_transpose])


def draw(case, members=()):
    k, stride, height, width, c, o = case
    rng = np.random.default_rng(0)
    x = rng.standard_normal((*members, 2, height, width, c), dtype=np.float32)
    kernel = rng.standard_normal((*members, k, k, c, o), dtype=np.float32)
    return x, kernel / np.float32(k * c**0.5), stride


def assert_close(actual, expected):
    scale = float(jnp.abs(expected).max())
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * scale)


def loss_of(function, stride, implementation):
    return lambda x, kernel: jnp.mean(jnp.tanh(function(x, kernel, stride, implementation)) ** 2)


@cases
@functions
def test_implementations_agree_in_output_and_both_gradients(function, case):
    x, kernel, stride = draw(case)

    @partial(jax.jit, static_argnums=0)
    def run(implementation):
        out = function(x, kernel, stride, implementation)
        return out, jax.grad(loss_of(function, stride, implementation), (0, 1))(x, kernel)

    for implementation in ("matmul", "mixed"):
        jax.tree.map(assert_close, run(implementation), run("native"))


@pytest.mark.parametrize(
    "case", [(4, 2, 4, 4, 32, 32), (4, 2, 4, 4, 1, 3), (5, 2, 16, 16, 6, 5)], ids=str
)
@functions
def test_implementations_agree_in_the_second_derivative(function, case):
    x, kernel, stride = draw(case)

    @partial(jax.jit, static_argnums=0)
    def run(implementation):
        slope = jax.grad(loss_of(function, stride, implementation))
        return jax.grad(lambda *a: jnp.sum(slope(*a) ** 2), (0, 1))(x, kernel)

    for implementation in ("matmul", "mixed"):
        jax.tree.map(assert_close, run(implementation), run("native"))


@functions
@pytest.mark.parametrize("members", [1, 3])
def test_vmap_over_members_is_each_member_alone(function, members):
    x, kernel, stride = draw((4, 2, 4, 4, 6, 5), (members,))

    @jax.jit
    def gradients(x, kernel):
        return jax.grad(lambda *a: jnp.sum(function(*a, stride, "matmul") ** 2), (0, 1))(x, kernel)

    together = jax.jit(jax.vmap(gradients))(x, kernel)
    alone = [gradients(*pair) for pair in zip(x, kernel, strict=True)]
    jax.tree.map(assert_close, together, jax.tree.map(lambda *a: jnp.stack(a), *alone))


@functions
def test_vmap_over_single_images_is_the_batch(function):
    x, kernel, stride = draw((4, 2, 4, 4, 6, 5))
    one = jax.jit(jax.vmap(lambda image: function(image[None], kernel, stride, "matmul")[0]))
    assert_close(one(x), function(x, kernel, stride, "native"))


@cases
@functions
def test_native_is_the_flax_layer(function, case):
    x, kernel, stride = draw(case)
    layer = {conv: nn.Conv, conv_transpose: nn.ConvTranspose}[function](
        kernel.shape[-1], kernel.shape[:2], (stride, stride), use_bias=False
    )
    expected = layer.apply({"params": {"kernel": kernel}}, x)
    assert_close(function(x, kernel, stride, "native"), expected)


@cases
def test_native_gradients_are_those_of_lax(case):
    x, kernel, stride = draw(case)

    def loss(x, kernel):
        y = jax.lax.conv_transpose(
            x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return jnp.mean(jnp.tanh(y) ** 2)

    expected = jax.grad(loss, (0, 1))(x, kernel)
    ours = jax.grad(loss_of(conv_transpose, stride, "native"), (0, 1))(x, kernel)
    jax.tree.map(assert_close, ours, expected)


@functions
def test_an_unknown_implementation_is_refused(function):
    x, kernel, stride = draw((3, 1, 4, 4, 1, 1))
    with pytest.raises(ValueError, match="implementation"):
        function(x, kernel, stride, "winograd")


@pytest.mark.parametrize(
    ("width", "size", "expected"), [(1.0, 4, "matmul"), (1.0, 5, "mixed"), (0.25, 4, "mixed")]
)
def test_a_layer_on_a_cpu_convolves_by_width_and_kernel(width, size, expected, monkeypatch):
    """Minimal filtering, which makes matmuls pay in wide networks, is for kernels of 4x4."""
    asked = backend.CPU._replace(convolution="matmul", narrow_convolution="mixed")
    monkeypatch.setattr(backend, "CPU", asked)
    assert backend.convolution(width, size) == expected
