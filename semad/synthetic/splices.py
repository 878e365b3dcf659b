"""Splices: parts of real images replaced by what does not belong there, on the device.

A discriminator that must find them learns, without a label, where an image stops to be like itself
(CutPaste, Li et al. 2021; DRAEM, Zavrtanik et al. 2021; CutMix of real and generated images,
Schönfeld et al. 2020). A splice is a mask, drawn from smooth random fields, and an anomaly from a
source:

    cutpaste   a part of another image, flipped at random, its brightness and contrast a little off
    texture    a smooth random field, as grey as some pixel of the image, of any grain and contrast
    generated  what a generator made
    sheet      a texture behind all that is brighter, as a film lies between fibres
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri

_SPOTS = (21, 11, 6, 3)  # pixels: sizes of the masks' features
_GRAINS = (32, 16, 8, 4, 2, 1)  # pixels: of the textures'
_COVERAGE = (0.02, 0.5)  # of an image by its mask
_ENLARGED = (0.6, 1.6)  # size of an outlined defect, as a share of its own
_SHIFT = 0.25  # of a patch
_CLEAN = 0.25  # share of images that are left as they are


def splice(images: jax.Array, anomalies: jax.Array, masks: jax.Array) -> jax.Array:
    """Images (N, P, P, C) with anomalies (N, P, P, C) as far as masks (N, P, P) in [0, 1] say."""
    return images + masks[..., None] * (anomalies - images)


def draw_masks(key: jax.Array, count: int, size: int) -> jax.Array:
    """Where images are replaced: (count, size, size) in [0, 1], blots of many shapes and sizes.

    A share of the images is left as it is.
    """
    keys = jax.random.split(key, 4)
    values = fields(keys[0], count, size, _SPOTS)
    cover = jax.random.uniform(keys[1], (count, 1, 1), minval=_COVERAGE[0], maxval=_COVERAGE[1])
    steepness = jnp.exp(jax.random.uniform(keys[2], (count, 1, 1), minval=1.0, maxval=4.0))
    masks = jnp.clip(0.5 + steepness * (values - ndtri(1 - cover)), 0, 1)
    return masks * (jax.random.uniform(keys[3], (count, 1, 1)) >= _CLEAN).astype(masks.dtype)


def fields(key: jax.Array, count: int, size: int, grains: tuple[int, ...]) -> jax.Array:
    """Smooth random fields, each of one grain and of variance 1: (count, size, size).

    Their mean is 0 over draws, not in each: a coarse field may lie on one side altogether.
    """
    pick_key, *keys = jax.random.split(key, 1 + len(grains))
    pick = jax.random.randint(pick_key, (count, 1, 1), 0, len(grains))
    total = jnp.zeros((count, size, size))
    for number, (grain_key, grain) in enumerate(zip(keys, grains, strict=True)):
        coarse = jax.random.normal(grain_key, (count, -(-size // grain) + 1, -(-size // grain) + 1))
        fine = jax.image.resize(coarse, (count, size, size), "cubic")
        spread = fine.std(axis=(1, 2), keepdims=True)
        total += jnp.where(pick == number, fine / jnp.maximum(spread, 1e-3), 0)
    return total


def cutpaste(key: jax.Array, images: jax.Array, part: slice) -> jax.Array:
    """Other images of the batch, flipped and turned at random, brightness and contrast changed."""
    keys = jax.random.split(key, 4)
    other = jnp.roll(images, jax.random.randint(keys[0], (), 1, images.shape[0]), axis=0)[part]
    count = other.shape[0]
    flips = jax.random.bernoulli(keys[1], shape=(3, count, 1, 1, 1))
    other = jnp.where(flips[0], other[:, :, ::-1], other)
    other = jnp.where(flips[1], other[:, ::-1], other)
    other = jnp.where(flips[2], other.swapaxes(1, 2), other)
    return varied(keys[2:], other)


def varied(keys: jax.Array, images: jax.Array) -> jax.Array:
    """Images (N, P, P, C) with brightness and contrast a little off; `keys` are two."""
    count = len(images)
    gain = jax.random.uniform(keys[0], (count, 1, 1, 1), minval=0.7, maxval=1.3)
    shift = jax.random.uniform(keys[1], (count, 1, 1, 1), minval=-0.15, maxval=0.15)
    mean = images.mean(axis=(1, 2), keepdims=True)
    return bounded(mean + gain * (images - mean) + shift, images)


def vary_some(key: jax.Array, images: jax.Array, share: float) -> jax.Array:
    """A share of images (N, P, P, C) with brightness and contrast a little off."""
    keys = jax.random.split(key, 3)
    chosen = jax.random.bernoulli(keys[0], share, (len(images), 1, 1, 1))
    return jnp.where(chosen, varied(keys[1:], images), images)


def moved(key: jax.Array, images: jax.Array, masks: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Images (N, P, P, C) and their masks (N, P, P), each pair enlarged, turned and shifted alike.

    What comes from outside of an image is 0 in both.
    """
    keys = jax.random.split(key, 3)
    count, size = masks.shape[:2]
    planes = jnp.concatenate([images, masks[..., None]], axis=-1)
    turned = jax.random.bernoulli(keys[0], shape=(count, 1, 1, 1))
    planes = jnp.where(turned, planes.swapaxes(1, 2), planes)
    low, high = jnp.log(jnp.array(_ENLARGED))
    scales = jnp.exp(jax.random.uniform(keys[1], (count, 1), minval=low, maxval=high))
    shifts = jax.random.uniform(keys[2], (count, 2), minval=-_SHIFT, maxval=_SHIFT)
    # The middle stays in the middle but for the shift.
    offsets = size * (shifts + (1 - scales) / 2)

    def move(plane: jax.Array, scale: jax.Array, offset: jax.Array) -> jax.Array:
        both = jnp.broadcast_to(scale, (2,))
        return jax.image.scale_and_translate(plane, plane.shape, (0, 1), both, offset, "linear")

    planes = jax.vmap(move)(planes, scales, offsets)
    return planes[..., :-1], planes[..., -1]


def textures(key: jax.Array, images: jax.Array, part: slice) -> jax.Array:
    """Random fields of one grain each, with the noise that the image seems to have."""
    keys = jax.random.split(key, 5)
    images = images[part]
    count, size, _, channels = images.shape
    flat = images.reshape(count, size * size, channels)
    places = jax.random.randint(keys[0], (count, 1, 1), 0, size * size)
    grey = jnp.take_along_axis(flat, places, axis=1)[:, None]
    contrast = jax.random.uniform(keys[1], (count, 1, 1, 1)) * images.std(
        axis=(1, 2, 3), keepdims=True
    )
    grain = fields(keys[2], count, size, _GRAINS)[..., None]
    share = jax.random.uniform(keys[3], (count, 1, 1, 1), maxval=1.2)
    noise = share * noise_level(images) * jax.random.normal(keys[4], images.shape)
    return bounded(grey + contrast * grain + noise, images)


def bounded(anomalies: jax.Array, images: jax.Array) -> jax.Array:
    """Fillings within [-1, 1], or as far as the images (N, P, P, C) they are made of reach."""
    limit = jnp.maximum(1.0, jnp.abs(images).max(axis=(1, 2, 3), keepdims=True))
    return jnp.clip(anomalies, -limit, limit)


def occludes(images: jax.Array, anomalies: jax.Array) -> jax.Array:
    """1 where anomalies (N, P, P, C) hide the images: (N, P, P). In micrographs, bright is near."""
    return (anomalies.mean(axis=-1) > images.mean(axis=-1)).astype(images.dtype)


def noise_level(images: jax.Array) -> jax.Array:
    """The standard deviation of each image's noise (Immerkær 1996): (N, 1, 1, 1).

    From the mean absolute value of a mask that answers neither to slopes nor to straight edges.
    """
    # Pixels last: alone, this takes a CPU 14 times as long where the last axis is one channel.
    planes = jnp.moveaxis(images, 3, 1)
    middle = planes[:, :, 1:-1] * 2 - planes[:, :, :-2] - planes[:, :, 2:]
    both = middle[..., 1:-1] * 2 - middle[..., :-2] - middle[..., 2:]
    mean = jnp.abs(both).reshape(len(images), -1).mean(axis=1)
    return (jnp.sqrt(jnp.pi / 2) / 6 * mean)[:, None, None, None]


SOURCES: dict[str, Callable[[jax.Array, jax.Array, slice], jax.Array]] = {
    "cutpaste": cutpaste,
    "texture": textures,
    "sheet": textures,
}
"""What needs no generator: `source(key, batch of at least 2, part) -> anomalies of that part`."""
