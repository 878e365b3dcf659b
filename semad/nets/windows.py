"""Means over windows of images, less at borders."""

import jax
import jax.numpy as jnp
import numpy as np


def means_around(values: jax.Array, size: int, stride: int) -> jax.Array:
    """Over the window of `size` around every square of `stride`: (N, H, W, F).

    Products with a matrix for each axis: windows that overlap would be summed up one by one on a
    CPU.

    Returns:
      (N, H / stride, W / stride, F); at borders the mean of what is inside.
    """
    rows, columns = (_averages(length, size, stride) for length in values.shape[1:3])
    # Variances are differences of means that are nearly equal.
    return jnp.einsum("ih,nhwf,jw->nijf", rows, values, columns, precision="highest")


def _averages(length: int, size: int, stride: int) -> np.ndarray:
    """The matrix that takes the means of an axis: float32 (length // stride, length)."""
    starts = np.arange(length // stride)[:, None] * stride - (size - stride) // 2
    places = np.arange(length)
    inside = (places >= starts) & (places < starts + size)
    return (inside / inside.sum(axis=1, keepdims=True)).astype(np.float32)
