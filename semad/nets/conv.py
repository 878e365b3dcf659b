"""Convolutions as pure functions, by XLA's own operation or made of matmuls.

XLA's CPU backend runs any convolution inside a compiled loop several times slower than matmuls,
and large or transposed ones outside of it somewhat slower; an accelerator prefers the native
operation. So there are three forms, exact and equal to rounding: `native`; `matmul`; and `mixed`,
native but for images of a few pixels or of one channel, and for what enlarges images: transposed
convolutions, and the gradients of images of convolutions with a stride (docs/performance.md has
the measurements). `semad.utils.backend` chooses.
Images are NHWC, kernels HWIO.
"""

from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
from jax import lax

from semad.nets.minimal import interleave, minimal_conv_transpose

IMPLEMENTATIONS = ("native", "mixed", "matmul")

_LAYOUT = ("NHWC", "HWIO", "NHWC")

# So few channels on one side make a matmul per kernel tap all memory traffic and no arithmetic.
FEW_CHANNELS = 4
# From so many channels on, fewer products pay for the transforms and for a longer compilation.
MANY_CHANNELS = 32
# XLA's CPU backend has no fast kernel for convolutions of images of so few pixels along a side, nor
# for their gradients: those of 5x5 kernels take 2 to 30 times as long as matmuls.
FEW_PIXELS = 4
# From so many pixels on XLA's plain convolutions make the phases of a transposed one in half of the
# CPU time of matmuls, or less: they pay, though each runs on one thread of a CPU, matmuls on all.
MANY_PIXELS = 16


def conv(x: jax.Array, kernel: jax.Array, stride: int, implementation: str) -> jax.Array:
    """Convolve with SAME padding, as `flax.linen.Conv` without a bias.

    Args:
      x: images `(n, h, w, c)`.
      kernel: weights `(kh, kw, c, o)`.
      stride: step along both axes.
      implementation: one of `IMPLEMENTATIONS`.

    Returns:
      `(n, ceil(h / stride), ceil(w / stride), o)`.
    """
    _check(implementation)
    if implementation == "mixed":
        return _mixed(x, kernel, stride)
    if implementation == "native":
        return _native(x, kernel, stride)
    n, height, width, c = x.shape
    if stride == 2 and height % 2 == width % 2 == 0 and _minimal(kernel, height // 2, width // 2):
        # The transpose of the transposed convolution with the turned kernel.
        turned = _turned(kernel)
        small = jax.ShapeDtypeStruct((n, height // 2, width // 2, kernel.shape[3]), x.dtype)
        return jax.linear_transpose(lambda y: minimal_conv_transpose(y, turned), small)(x)[0]
    h, h_pads = _conv_pads(height, kernel.shape[0], stride)
    w, w_pads = _conv_pads(width, kernel.shape[1], stride)
    x = jnp.pad(x, ((0, 0), h_pads, w_pads, (0, 0)))
    x = x.reshape(n, x.shape[1] // stride, stride, x.shape[2] // stride, stride, c)
    out = jnp.zeros((), x.dtype)
    for p, q in product(range(stride), repeat=2):
        out += _correlate(x[:, :, p, :, q], kernel[p::stride, q::stride], h, w)
    return out


def conv_transpose(x: jax.Array, kernel: jax.Array, stride: int, implementation: str) -> jax.Array:
    """Convolve transposed with SAME padding, as `flax.linen.ConvTranspose` without a bias.

    Args:
      x: images `(n, h, w, c)`.
      kernel: weights `(kh, kw, c, o)`, used as they are (`transpose_kernel=False`).
      stride: enlargement along both axes.
      implementation: one of `IMPLEMENTATIONS`.

    Returns:
      `(n, h * stride, w * stride, o)`.
    """
    _check(implementation)
    if implementation == "matmul":
        return _phases(x, kernel, stride, native=False)
    return _with_native_slopes(x, kernel, stride, implementation)


def _native(x: jax.Array, kernel: jax.Array, stride: int, groups: int = 1) -> jax.Array:
    """XLA's own convolution with SAME padding."""
    strides = (stride, stride)
    return lax.conv_general_dilated(
        x, kernel, strides, "SAME", dimension_numbers=_LAYOUT, feature_group_count=groups
    )


def depthwise(x: jax.Array, kernel: jax.Array, stride: int, implementation: str) -> jax.Array:
    """Convolve each channel by itself with SAME padding.

    Unless it is to be native, it is one product per kernel tap: XLA's CPU backend takes 2 to 50
    times as long for a grouped convolution.

    Args:
      x: images `(n, h, w, c)`.
      kernel: weights `(kh, kw, c)`.
      stride: step along both axes.
      implementation: one of `IMPLEMENTATIONS`.

    Returns:
      `(n, ceil(h / stride), ceil(w / stride), c)`.
    """
    _check(implementation)
    if implementation == "native":
        return _native(x, kernel[:, :, None], stride, groups=x.shape[3])
    h, h_pads = _conv_pads(x.shape[1], kernel.shape[0], stride)
    w, w_pads = _conv_pads(x.shape[2], kernel.shape[1], stride)
    padded = jnp.pad(x, ((0, 0), h_pads, w_pads, (0, 0)))
    terms = [
        padded[:, i : i + stride * (h - 1) + 1 : stride, j : j + stride * (w - 1) + 1 : stride]
        * kernel[i, j].reshape((1, 1, 1, -1))
        for i, j in product(*map(range, kernel.shape[:2]))
    ]
    return sum(terms, start=jnp.zeros((), x.dtype))


def _phases(x: jax.Array, kernel: jax.Array, stride: int, native: bool) -> jax.Array:
    """Transposed convolution as one correlation per output phase.

    With `native` they are XLA's own, unless there are few channels or phases without a tap, or
    minimal filtering pays.
    """
    _, h, w, _ = x.shape
    if stride == 2 and _minimal(kernel, h, w):
        return minimal_conv_transpose(x, kernel)
    h_pads, rows = _transpose_phases(kernel.shape[0], stride)
    w_pads, cols = _transpose_phases(kernel.shape[1], stride)
    if native and min(kernel.shape[2:]) > FEW_CHANNELS and min(kernel.shape[:2]) >= stride:

        def correlate(taps: jax.Array, top: int, left: int) -> jax.Array:
            starts = (h_pads[0] - top, w_pads[0] - left)
            pads = [(low, k - 1 - low) for low, k in zip(starts, taps.shape[:2], strict=True)]
            return lax.conv_general_dilated(x, taps, (1, 1), pads, dimension_numbers=_LAYOUT)
    else:
        padded = jnp.pad(x, ((0, 0), h_pads, w_pads, (0, 0)))

        def correlate(taps: jax.Array, top: int, left: int) -> jax.Array:
            return _correlate(padded[:, top:, left:], taps, h, w)

    return interleave(
        [
            [correlate(kernel[i::stride, j::stride], top, left) for j, left in cols]
            for i, top in rows
        ]
    )


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _mixed(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Convolution by matmuls where images have few pixels or one channel, else XLA's own."""
    by_matmuls = x.shape[3] == 1 or _few_pixels(x)
    return conv(x, kernel, stride, "matmul" if by_matmuls else "native")


def _mixed_forward(
    x: jax.Array, kernel: jax.Array, stride: int
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _mixed(x, kernel, stride), (x, kernel)


def _mixed_backward(
    stride: int, saved: tuple[jax.Array, jax.Array], slope: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    _, pull = jax.vjp(lambda x, kernel: conv(x, kernel, stride, "native"), x, kernel)
    x_slope, kernel_slope = pull(slope)
    whole = x.shape[1:3] == (stride * slope.shape[1], stride * slope.shape[2])
    if whole and (stride > 1 or _few_pixels(slope)):
        x_slope = _phases(slope, _turned(kernel), stride, native=not _few_pixels(slope))
    return x_slope, kernel_slope


_mixed.defvjp(_mixed_forward, _mixed_backward)


def _few_pixels(x: jax.Array) -> bool:
    return min(x.shape[1:3]) <= FEW_PIXELS


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _with_native_slopes(
    x: jax.Array, kernel: jax.Array, stride: int, implementation: str
) -> jax.Array:
    """Transposed convolution with the gradients of the convolution that it transposes.

    lax's own kernel gradient of `conv_transpose` is another form of the same sum, 20 times slower
    on a CPU.
    """
    if implementation == "mixed":
        return _phases(x, kernel, stride, native=min(x.shape[1:3]) >= MANY_PIXELS)
    return lax.conv_transpose(x, kernel, (stride, stride), "SAME", dimension_numbers=_LAYOUT)


def _forward(
    x: jax.Array, kernel: jax.Array, stride: int, implementation: str
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _with_native_slopes(x, kernel, stride, implementation), (x, kernel)


def _backward(
    stride: int, implementation: str, saved: tuple[jax.Array, jax.Array], slope: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    x_slope, pull = jax.vjp(lambda k: conv(slope, k, stride, implementation), _turned(kernel))
    return x_slope, _turned(pull(x)[0])


_with_native_slopes.defvjp(_forward, _backward)


def _turned(kernel: jax.Array) -> jax.Array:
    """The kernel of the transposed convolution: half a turn, inputs and outputs swapped."""
    return kernel[::-1, ::-1].swapaxes(2, 3)


def _check(implementation: str) -> None:
    if implementation not in IMPLEMENTATIONS:
        raise ValueError(f"implementation must be one of {IMPLEMENTATIONS}, got {implementation!r}")


def _minimal(kernel: jax.Array, h: int, w: int) -> bool:
    """Whether `minimal_conv_transpose` takes a small side of `(h, w)` and pays."""
    even = h % 2 == w % 2 == 0
    return kernel.shape[:2] == (4, 4) and even and min(kernel.shape[2:]) >= MANY_CHANNELS


def _conv_pads(size: int, k: int, stride: int) -> tuple[int, tuple[int, int]]:
    """Output size, and SAME pads enlarged at the end until every phase holds what its taps read."""
    out = -(-size // stride)
    low = max((out - 1) * stride + k - size, 0) // 2
    padded = stride * (out + -(-k // stride) - 1)
    return out, (low, padded - low - size)


def _transpose_phases(k: int, stride: int) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """Pads of the input, and per output phase its first kernel tap and first padded input."""
    low = k - 1 if stride > k - 1 else -(-(k + stride - 2) // 2)  # lax's rule for SAME
    pads = (low // stride, (stride + k - 2 - low) // stride)
    taps = [(low - p) % stride for p in range(stride)]
    return pads, [(tap, (p + tap - low) // stride + pads[0]) for p, tap in enumerate(taps)]


def _correlate(x: jax.Array, kernel: jax.Array, h: int, w: int) -> jax.Array:
    """Stride-1 correlation of `(n, >= h + kh - 1, >= w + kw - 1, c)` to `(n, h, w, o)`."""
    kh, kw, c, o = kernel.shape
    taps = list(product(range(kh), range(kw)))
    if o <= FEW_CHANNELS and o < c:
        every = jnp.einsum("nhwc,ijco->nhwijo", x, kernel).reshape(*x.shape[:3], -1)
        # split, for its gradient is one concatenation; that of slices is a sum of padded arrays.
        parts = lax.split(every, [o] * len(taps), axis=3) if taps else []
        terms = [part[:, i : i + h, j : j + w] for part, (i, j) in zip(parts, taps, strict=True)]
    else:
        terms = [x[:, i : i + h, j : j + w] @ kernel[i, j] for i, j in taps]
    return sum(terms, start=jnp.zeros((x.shape[0], h, w, o), x.dtype))
