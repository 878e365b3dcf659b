"""How the pixels of a patch become what the networks see, `config.data.normalisation`.

    range        the whole range of the dtype to [-1, 1]
    standardise  (x − mean) / max(standard deviation, 1/√pixels), per patch and channel, with x in
                 grey levels of 8 bits (finished thesis, section 5.2; `tf.image`'s per-image
                 standardisation): brightness and contrast of a patch are gone, its structure stays

What is standardised is what is cut out: a patch of its own, or the whole window where a
convolutional system scores windows.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from semad.config.schema import DataSettings

_LEVELS = 255.0


def _share(pixels: jax.Array) -> jax.Array:
    """Of the dtype's range: [0, 1]; floating-point pixels are such shares already."""
    if jnp.issubdtype(pixels.dtype, jnp.floating):
        return pixels
    return pixels.astype(jnp.float32) * (1.0 / jnp.iinfo(pixels.dtype).max)


def _range(pixels: jax.Array) -> jax.Array:
    return 2.0 * _share(pixels) - 1.0


def _standardise(pixels: jax.Array) -> jax.Array:
    levels = _LEVELS * _share(pixels)
    axes = (-3, -2)
    mean = levels.mean(axis=axes, keepdims=True)
    # Of the differences, not of squares: a flat bright patch must have no variance left.
    deviation = jnp.sqrt(jnp.square(levels - mean).mean(axis=axes, keepdims=True))
    floor = (pixels.shape[-3] * pixels.shape[-2]) ** -0.5
    return (levels - mean) / jnp.maximum(deviation, floor)


NORMALISATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "range": _range,
    "standardise": _standardise,
}

_SHOWN = {"range": 1.0, "standardise": 2.5}
"""The largest absolute value that a picture of each shows, the same for all patches."""


def normalise(pixels: jax.Array | np.ndarray, how: str) -> jax.Array:
    """Patches as the networks see them.

    Args:
      pixels: (..., P, P, C), uint8, uint16, or float32 in [0, 1].
      how: key of `NORMALISATIONS`.

    Returns:
      float32 of the same shape: in [-1, 1] for `range`; of mean 0 and, unless nearly flat,
      standard deviation 1 per patch and channel for `standardise`.
    """
    return NORMALISATIONS[how](jnp.asarray(pixels))


def displayed(images: jax.Array | np.ndarray, how: str) -> jax.Array:
    """Normalised images as grey values in [0, 1], by a scale that is the same for all of them."""
    return jnp.clip(0.5 + images / (2 * _SHOWN[how]), 0.0, 1.0)


def resolve_normalisation(data: DataSettings) -> str:
    """How the networks see a patch of the data that `config.data` names, a key of `NORMALISATIONS`.

    `auto` standardises patches of micrographs. Items of one-vs-rest sets keep their range: digits
    on a black ground would be standardised far beyond what a generator's tanh reaches, and their
    discriminator tells all apart at once (docs/reproduction.md).
    """
    if data.normalisation != "auto":
        return data.normalisation
    items = data.name == "digits" or data.name.startswith("tfds:")
    return "range" if items else "standardise"
