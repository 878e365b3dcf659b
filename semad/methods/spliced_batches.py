"""The batches that the dense discriminator learns from: real crops, with parts spliced in.

What is spliced in comes from `semad.synthetic.splices`, or from a generator.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from semad.errors import UserError
from semad.synthetic import splices
from semad.synthetic.cracks import crack
from semad.types import Batch, Nets
from semad.utils.rng import Stream, stream

SOURCES = ("cutpaste", "texture", "generated", "sheet")


class Recipe(NamedTuple):
    """How a batch is spliced.

    Attributes:
      parts: which part of it each source fills.
      varied: share of its images whose brightness and contrast are varied before.
      cracks: share of its images with cracks on top.
    """

    parts: dict[str, slice]
    varied: float = 0.0
    cracks: float = 0.0


Splice = Callable[[Nets, Batch, jax.Array], tuple[jax.Array, jax.Array]]
"""(nets, batch, key) -> images with what is foreign in them, and where, (N, P, P) in [0, 1]."""


def splice_batch(
    recipe: Recipe, nets: Nets, batch: Batch, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """A `Splice` of all sources, each in its part of the batch."""
    whole = batch.images
    if recipe.varied:
        whole = splices.vary_some(stream(key, Stream.VARIED), whole, recipe.varied)
    masks = splices.draw_masks(stream(key, Stream.MASKS), *whole.shape[:2])
    anomalies, visible = [], []
    for name, part in recipe.parts.items():
        images = whole[part]
        source_key = stream(stream(key, Stream.SOURCES), name)
        if name == "generated":
            anomalies.append(fill(nets, source_key, images, masks[part]))
        else:
            anomalies.append(splices.SOURCES[name](source_key, whole, part))
        seen = splices.occludes(images, anomalies[-1]) if name == "sheet" else 1.0
        visible.append(masks[part] * seen)
    masks = jnp.concatenate(visible)
    seen = splices.splice(whole, jnp.concatenate(anomalies), masks)
    if recipe.cracks:
        seen, lines = crack(stream(key, Stream.CRACKS), seen, recipe.cracks)
        masks = jnp.maximum(masks, lines)
    return seen, masks


def shares(rates: dict[str, float], batch_size: int) -> dict[str, slice]:
    """Which part of a batch each source fills, by its rate; none for a rate of 0.

    Raises:
      UserError: when no rate is above 0, or a source would be left without an image.
    """
    total = sum(rates.values())
    if not total:
        raise UserError("every rate in config.splices is 0; there is nothing to find: raise one")
    ends = np.round(np.cumsum([rates[name] for name in SOURCES]) / total * batch_size).astype(int)
    parts = {
        name: slice(int(start), int(end))
        for name, start, end in zip(SOURCES, [0, *ends[:-1]], ends, strict=True)
        if rates[name]
    }
    for name, part in parts.items():
        if part.start == part.stop:
            raise UserError(
                f"config.splices.{name} is {rates[name]:g} of {total:g} in all: not one image of a "
                f"batch of {batch_size}; raise it, or set a larger --config.train.batch_size"
            )
    return parts


def fill(nets: Nets, key: jax.Array, images: jax.Array, masks: jax.Array) -> jax.Array:
    """What G puts in place of the masked parts, from their surroundings and noise."""
    noise = jax.random.normal(key, masks.shape)
    return jnp.tanh(nets.generator(images, masks, noise))
