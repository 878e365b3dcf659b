"""Pure functions of arrays, one value per example: the terms that losses and scores are made of.

The first axis is the batch; everything behind it is reduced.
"""

import jax
import jax.numpy as jnp
import optax


def _per_example(x: jax.Array) -> jax.Array:
    return x.reshape(x.shape[0], -1)


def mean_absolute(x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean of |x - y| per example: (N, ...) twice -> (N,)."""
    return jnp.abs(_per_example(x - y)).mean(axis=1)


def mean_square(x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean of (x - y)² per example: (N, ...) twice -> (N,). Equation 2.31, per pixel."""
    return jnp.square(_per_example(x - y)).mean(axis=1)


def sum_absolute(x: jax.Array, y: jax.Array) -> jax.Array:
    """Sum of |x - y| per example: (N, ...) twice -> (N,). Equations 2.32 and 2.33."""
    return jnp.abs(_per_example(x - y)).sum(axis=1)


def norm(x: jax.Array, y: jax.Array, degree: int) -> jax.Array:
    """The norm of x - y of degree 1 or 2 per example: (N, ...) twice -> (N,)."""
    if degree == 1:
        return sum_absolute(x, y)
    return jnp.sqrt(jnp.square(_per_example(x - y)).sum(axis=1))


def cross_entropy(logits: jax.Array, target: float) -> jax.Array:
    """Sigmoid cross-entropy against one target in [0, 1]: (N,) -> (N,). Equations 2.4, 2.5."""
    return optax.sigmoid_binary_cross_entropy(logits, jnp.full_like(logits, target))


def sample_latent(key: jax.Array, count: int, latent_dim: int) -> jax.Array:
    """`count` draws of z ~ N(0, I): (count, latent_dim)."""
    return jax.random.normal(key, (count, latent_dim))
