"""Pure functions of arrays, one value per example: the terms that losses and scores are made of.

The first axis is the batch; everything behind it is reduced.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from semad.losses.ssim import mean_dissimilarity, similarity_map


def _per_example(x: jax.Array) -> jax.Array:
    return x.reshape(x.shape[0], -1)


def mean_absolute(x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean of |x - y| per example: (N, ...) twice -> (N,)."""
    return jnp.abs(_per_example(x - y)).mean(axis=1)


def mean_square(x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean of (x - y)² per example: (N, ...) twice -> (N,). Equation 2.31, per pixel."""
    return jnp.square(_per_example(x - y)).mean(axis=1)


class Residual(NamedTuple):
    """A distance of images and their reconstructions, a score of every system that makes them.

    Attributes:
      value: (N, H, W, C) twice -> (N,).
      map: the same at every pixel, the mean over channels, -> (N, H, W).
    """

    value: Callable[[jax.Array, jax.Array], jax.Array]
    map: Callable[[jax.Array, jax.Array], jax.Array]


RESIDUALS: dict[str, Residual] = {
    "l1": Residual(mean_absolute, lambda x, y: jnp.abs(x - y).mean(axis=-1)),
    "l2": Residual(mean_square, lambda x, y: jnp.square(x - y).mean(axis=-1)),
    "ssim": Residual(mean_dissimilarity, lambda x, y: 1 - similarity_map(x, y)),
}
"""Scores of every system that reconstructs, and the values of `config.loss.reconstruction`."""


def sum_absolute(x: jax.Array, y: jax.Array) -> jax.Array:
    """Sum of |x - y| per example: (N, ...) twice -> (N,). Equations 2.32 and 2.33."""
    return jnp.abs(_per_example(x - y)).sum(axis=1)


def norm(x: jax.Array, y: jax.Array, degree: int = 2) -> jax.Array:
    """The norm of x - y of degree 1 or 2 per example: (N, ...) twice -> (N,)."""
    if degree == 1:
        return sum_absolute(x, y)
    return safe_sqrt(jnp.square(_per_example(x - y)).sum(axis=1))


def safe_sqrt(squares: jax.Array) -> jax.Array:
    """The square root, whose slope at zero is zero: a norm of nothing must not end in NaN."""
    positive = squares > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1.0)), 0.0)


def cross_entropy(logits: jax.Array, target: jax.Array | float) -> jax.Array:
    """Sigmoid cross-entropy against targets in [0, 1], one or (N,): (N,) -> (N,)."""
    return optax.sigmoid_binary_cross_entropy(logits, jnp.broadcast_to(target, logits.shape))


def sample_latent(key: jax.Array, count: int, latent_dim: int) -> jax.Array:
    """`count` draws of z ~ N(0, I): (count, latent_dim)."""
    return jax.random.normal(key, (count, latent_dim))
