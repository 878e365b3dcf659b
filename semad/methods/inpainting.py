"""Masked-block inpainting with a predicted variance, scored by joint statistics.

A network that must guess a hidden block continues fibres, and what is foreign contradicts it: no
copy path lets it through (RIAD, Zavrtanik et al. 2021, "Reconstruction by inpainting for visual
anomaly detection"). Phase `inpainting` hides a lattice of blocks of 16 pixels, half of each axis,
and learns mean and variance of every hidden pixel by Gaussian likelihood (Nix and Weigend 1994;
Kendall and Gal 2017). How large a residual is says little alone, since edges are hard to guess and
smooth defects easy; so phase `density` fits a mixture of Gaussians to what cells of normal images
show together (`statistics`), and `density` is minus its logarithm.

Four masks hide every pixel once, in an image of any size.
"""

from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from semad.methods.common import Lossed, adam, image_shape, learning_rates, style
from semad.nets.dense import Inpainter
from semad.nets.mixture import GaussianMixture
from semad.types import Batch, Hparams, Method, Net, Nets, Phase, Scored, Update

BLOCK = 16
"""Pixels that a hidden block is high and wide; as many lie open to its next neighbour."""
CELL = 8
"""Pixels of the cells whose statistics are modelled, each over the block of 16 around it."""

_LOG_VARIANCE = (-8.0, 4.0)  # where predictions are held
_LEAST = 1e-4  # added before logarithms, in squares of grey values of a range of 2


class Guess(NamedTuple):
    """Mean and log variance of every pixel, each hidden when it was guessed: (N, H, W, C)."""

    mean: jax.Array
    log_variance: jax.Array


def lattice(shape: tuple[int, int], down: jax.Array | int, right: jax.Array | int) -> jax.Array:
    """1 where hidden: (H, W), every other block of 16 along both axes, shifted by pixels."""
    rows, columns = (
        ((jnp.arange(size) + shift) // BLOCK) % 2 == 0
        for size, shift in zip(shape, (down, right), strict=True)
    )
    return (rows[:, None] & columns[None]).astype(jnp.float32)


def guess(nets: Nets, images: jax.Array, masks: jax.Array) -> Guess:
    """What the network makes of all pixels while those under masks (N, H, W) are hidden."""
    mean, log_variance = jnp.split(nets.inpainter(images, masks), 2, axis=-1)
    return Guess(jnp.tanh(mean), jnp.clip(log_variance, *_LOG_VARIANCE))


def inpainting_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
    """Minus the Gaussian log likelihood of hidden pixels, without its constant."""
    del hparams
    count, *shape, _ = batch.images.shape
    shifts = jax.random.randint(key, (count, 2), 0, 2 * BLOCK)
    masks = jax.vmap(lambda shift: lattice(tuple(shape), shift[0], shift[1]))(shifts)
    made = guess(nets, batch.images, masks)
    residual = jnp.square(batch.images - made.mean)
    surprise = 0.5 * (made.log_variance + residual * jnp.exp(-made.log_variance))
    hidden = masks[..., None]
    total = hidden.sum() * batch.images.shape[-1]
    return (surprise * hidden).sum() / total, {"residual": (residual * hidden).sum() / total}


def guess_all(nets: Nets, images: jax.Array) -> Guess:
    """Every pixel guessed once, put together from four masks."""
    made = Guess(jnp.zeros_like(images), jnp.zeros_like(images))
    for down, right in product((0, BLOCK), repeat=2):
        mask = lattice(images.shape[1:3], down, right)
        masks = jnp.broadcast_to(mask, images.shape[:3])
        hidden = masks[..., None]
        part = guess(nets, images, masks)
        made = jax.tree.map(lambda all_, own, h=hidden: all_ + h * own, made, part)
    return made


def statistics(images: jax.Array, made: Guess) -> jax.Array:
    """What cells of 8 pixels show, over the 16 pixels around each: (N, H/8, W/8, 6).

    Logarithms of the mean squared residual, of the variance that was predicted, of their ratio and
    of the contrast; the mean grey value, and the one that was predicted.
    """
    residual = jnp.square(images - made.mean)
    variance = jnp.exp(made.log_variance)
    planes = (residual, variance, residual / variance, images, jnp.square(images), made.mean)
    means = [_means(plane.mean(axis=-1)) for plane in planes]
    contrast = jnp.maximum(means[4] - jnp.square(means[3]), 0)
    logs = [jnp.log(value + _LEAST) for value in (*means[:3], contrast)]
    return jnp.stack([*logs, means[3], means[5]], axis=-1)


def _means(plane: jax.Array) -> jax.Array:
    """Over 16×16 pixels around every cell, fewer at the borders: (N, H, W) -> (N, H/8, W/8)."""
    margin = (BLOCK - CELL) // 2
    padded = jnp.pad(plane, ((0, 0), (margin, margin), (margin, margin)))
    sums = jax.lax.reduce_window(
        padded, 0.0, jax.lax.add, (1, BLOCK, BLOCK), (1, CELL, CELL), "VALID"
    )
    rows, columns = (_inside(size) for size in plane.shape[1:])
    return sums / (rows[None, :, None] * columns)


def _inside(size: int) -> np.ndarray:
    """How many of the 16 pixels around every cell of an axis are inside the image."""
    middles = np.arange(size // CELL) * CELL + CELL // 2
    ends = np.minimum(middles + BLOCK // 2, size), np.maximum(middles - BLOCK // 2, 0)
    return (ends[0] - ends[1]).astype(np.float32)


def density_loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> Lossed:
    """Minus the mean log density of the statistics of all cells."""
    del key, hparams
    found = statistics(batch.images, guess_all(nets, batch.images))
    return -nets.density(found.reshape(-1, found.shape[-1])).mean(), {}


def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> Scored:
    """`density`, and `likelihood`: minus the logarithm of each pixel's; a patch has the mean."""
    del key, hparams
    made = guess_all(nets, images)
    found = statistics(images, made)
    cells = -nets.density(found.reshape(-1, found.shape[-1])).reshape(found.shape[:3])
    variance = jnp.exp(made.log_variance)
    surprise = 0.5 * (made.log_variance + jnp.square(images - made.mean) / variance)
    maps = {
        "density": jax.image.resize(cells, images.shape[:3], "linear"),
        "likelihood": surprise.mean(axis=-1),
    }
    return Scored({name: one.mean(axis=(1, 2)) for name, one in maps.items()}, made.mean, maps)


def build(config: ml_collections.ConfigDict) -> Method:
    """The method for a config of `configs/inpainting.py`."""
    image = image_shape(config)
    inpainter = Inpainter(2 * config.data.channels, style(config))
    inpainting = Update("inpainting", ("inpainter",), inpainting_loss, adam(config))
    density = Update("density", ("density",), density_loss, adam(config))
    return Method(
        name="inpainting",
        nets={
            "inpainter": Net(inpainter, (image, image[:2])),
            "density": Net(GaussianMixture(config.model.components), ((6,),)),
        },
        latent_dim=1,  # nothing is drawn from a latent
        phases=(
            Phase("inpainting", config.train.epochs, (inpainting,)),
            Phase("density", config.train.density_epochs, (density,)),
        ),
        hparams=learning_rates(config),
        score=score,
        default_score="density",
        reconstruct=lambda nets, images: guess_all(nets, images).mean,
        convolutional=True,
    )
