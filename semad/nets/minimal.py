"""Transposed 4x4 convolutions of stride 2 by Winograd's minimal filtering, and what it is made of.

Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks", have the idea for
convolutions of stride 1.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax


def minimal_conv_transpose(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Transposed 4x4 convolution of stride 2 with 36 products where the definition has 64.

    Along one axis a pair of inputs x0 x1, with neighbours p before and q after, gives the outputs
      y0 = p K0 + x0 K2,  y1 = x0 K1 + x1 K3,  y2 = x0 K0 + x1 K2,  y3 = x1 K1 + q K3.
    Winograd's minimal filtering shares two of the eight products:
      y0 = x0 (K0 + K2) + (p - x0) K0,   y1 = x1 (K1 + K3) + (x0 - x1) K1,
      y2 = x0 (K0 + K2) - (x0 - x1) K2,  y3 = x1 (K1 + K3) + (q - x1) K3.
    Its transforms only add, so that rounding stays that of a plain sum.

    Args:
      x: `(n, h, w, c)` of even height and width.
      kernel: `(4, 4, c, o)`.

    Returns:
      `(n, 2 h, 2 w, o)`.
    """
    rows = []
    for x_row, kernel_row in zip(_pairs(x, 1), _pair_kernels(kernel, 0), strict=True):
        terms = zip(_pairs(x_row, 2), _pair_kernels(kernel_row, 1), strict=True)
        # One matmul also for the two kernels of a shared input; (n, h / 2, w / 2, i, j, o).
        rows.append(_outputs([jnp.einsum("nhwc,ijco->nhwijo", u, k) for u, k in terms], 4))
    return interleave(
        list(zip(*[_outputs(col, 3) for col in zip(*rows, strict=True)], strict=True))
    )


def interleave(phases: Sequence[Sequence[jax.Array]]) -> jax.Array:
    """Merge `phases[i][j]` `(n, h, w, c)`, the pixels `(s * h + i, s * w + j)`, to one image."""
    n, h, w, c = phases[0][0].shape
    grid = jnp.stack([jnp.stack(row, axis=3) for row in phases], axis=2)
    return grid.reshape(n, h * len(phases), w * len(phases), c)


def _unstack(x: jax.Array, axis: int) -> list[jax.Array]:
    """Slices along an axis, which goes; `jnp.unstack` with the gradient of `jnp.stack`."""
    return [jnp.squeeze(part, axis) for part in lax.split(x, [1] * x.shape[axis], axis)]


def _pairs(x: jax.Array, axis: int) -> list[jax.Array]:
    """The inputs x0, x1, p - x0, x0 - x1, q - x1 of each pair along an axis."""
    x = x.reshape(*x.shape[:axis], x.shape[axis] // 2, 2, *x.shape[axis + 1 :])
    x0, x1 = _unstack(x, axis + 1)
    before, after = _shift(x1, axis, 1), _shift(x0, axis, -1)
    return [x0, x1, before - x0, x0 - x1, after - x1]


def _shift(x: jax.Array, axis: int, by: int) -> jax.Array:
    """Move along an axis, zeros coming in."""
    pads = [(0, 0, 0)] * x.ndim
    pads[axis] = (by, -by, 0)
    return lax.pad(x, jnp.zeros((), x.dtype), pads)


def _pair_kernels(kernel: jax.Array, axis: int) -> list[jax.Array]:
    """The kernels of what `_pairs` lists: one each, two for x0 - x1."""
    k0, k1, k2, k3 = (lax.slice_in_dim(kernel, i, i + 1, axis=axis) for i in range(4))
    return [k0 + k2, k1 + k3, k0, jnp.concatenate([k1, -k2], axis), k3]


def _outputs(terms: Sequence[jax.Array], axis: int) -> list[jax.Array]:
    """The outputs y0, y1, y2, y3 of each pair; the kernels of one input lie along the axis."""
    x0, x1, before, within, after = terms
    first, second = _unstack(within, axis)
    x0, x1, before, after = (jnp.squeeze(term, axis) for term in (x0, x1, before, after))
    return [x0 + before, x1 + first, x0 + second, x1 + after]
