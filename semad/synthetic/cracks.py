"""Cracks: thin dark lines over parts of real images, on the device.

Splices are blots (`semad.synthetic.splices`), and a discriminator that saw nothing else overlooks
lines of a few pixels' width. A crack follows the level set of a smooth random field, so that it
bends, may fork, and may end inside of an image.
"""

import jax
import jax.numpy as jnp

from semad.synthetic.splices import bounded, fields, noise_level

_BENDS = (32, 21, 11)  # pixels: how far a line runs before it bends
_HALF_WIDTH = (0.4, 2.5)  # pixels
_PIECES = (32, 16)  # pixels: the grain of what interrupts lines
_SHOWN = 0.3  # standard deviations below the middle of that grain, where lines are interrupted
_DARK = (0.5, 3.0)  # standard deviations of an image below its mean
_FAINT = 0.6  # how much of what is under it a crack shows, at most


def crack(key: jax.Array, images: jax.Array, share: float) -> tuple[jax.Array, jax.Array]:
    """Draws cracks over a share of images (N, P, P, C).

    Returns:
      The images; and where cracks are, (N, P, P) in [0, 1]. What is hardly darker than the image
      was, by less than its noise, counts as none.
    """
    keys = jax.random.split(key, 3)
    darker = darkened(keys[0], images)
    apart = (images - darker).mean(axis=-1, keepdims=True) > noise_level(images)
    cracked = jax.random.bernoulli(keys[1], share, (len(images), 1, 1, 1))
    lines = draw_lines(keys[2], *images.shape[:2])[..., None] * (apart & cracked)
    return images + lines * (darker - images), lines[..., 0]


def darkened(key: jax.Array, images: jax.Array) -> jax.Array:
    """Images (N, P, P, C) as a crack would show them, nowhere brighter than they were."""
    keys = jax.random.split(key, 2)
    shape = (len(images), 1, 1, 1)
    mean, spread = (of(images, axis=(1, 2, 3), keepdims=True) for of in (jnp.mean, jnp.std))
    depth = jax.random.uniform(keys[0], shape, minval=_DARK[0], maxval=_DARK[1])
    faint = jax.random.uniform(keys[1], shape, maxval=_FAINT)
    return jnp.minimum(images, bounded(mean - depth * spread + faint * (images - mean), images))


def draw_lines(key: jax.Array, count: int, size: int) -> jax.Array:
    """Thin curved lines of many widths: (count, size, size) in [0, 1]."""
    keys = jax.random.split(key, 4)
    values = fields(keys[0], count, size, _BENDS)
    values -= jax.random.uniform(keys[1], (count, 1, 1), minval=-1.0, maxval=1.0)
    # Not jnp.gradient and jnp.hypot: with them this takes a CPU three times as long.
    near = jnp.pad(values, ((0, 0), (1, 1), (1, 1)), mode="edge")
    down = (near[:, 2:, 1:-1] - near[:, :-2, 1:-1]) / 2
    across = (near[:, 1:-1, 2:] - near[:, 1:-1, :-2]) / 2
    slope = jnp.sqrt(jnp.maximum(down**2 + across**2, 1e-6))
    distance = jnp.abs(values) / slope  # to first order
    low, high = jnp.log(jnp.array(_HALF_WIDTH))
    half = jnp.exp(jax.random.uniform(keys[2], (count, 1, 1), minval=low, maxval=high))
    pieces = jnp.clip(0.5 + 4 * (fields(keys[3], count, size, _PIECES) + _SHOWN), 0, 1)
    return jnp.clip(0.5 + half - distance, 0, 1) * pieces
