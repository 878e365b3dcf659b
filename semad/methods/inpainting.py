"""Masked-block inpainting with a predicted variance, scored by joint statistics.

A network that must guess a hidden block continues fibres, and what is foreign contradicts it: no
copy path lets it through (RIAD, Zavrtanik et al. 2021, "Reconstruction by inpainting for visual
anomaly detection"). Phase `inpainting` hides a lattice of blocks, each a quarter of a patch high
and wide (16 pixels of 64), every other one along both axes, and learns mean and variance of every
hidden pixel by Gaussian likelihood (Nix and Weigend 1994; Kendall and Gal 2017). How large a
residual is says little alone, since edges are hard to guess and smooth defects easy; so phase
`density` fits a mixture of Gaussians to what cells of normal images show together (`statistics`),
and the score `density` is minus its logarithm.

Four masks hide every pixel once, in an image of any size.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import jax
import jax.numpy as jnp

from semad.config.schema import Settings
from semad.methods.common import LossAndTerms, adam, image_shape, layer_settings, learning_rates
from semad.nets.dense import Inpainter
from semad.nets.mixture import GaussianMixture
from semad.nets.windows import means_around
from semad.types import Batch, Hparams, Loss, Method, MethodOutput, Net, Nets, Phase, Score, Update

_LOG_VARIANCE = (-8.0, 4.0)  # where predictions are held
_LEAST = 1e-4  # added before logarithms, in squares of grey values of a range of 2


class Guess(NamedTuple):
    """Mean and log variance of every pixel, each hidden when it was guessed: (N, H, W, C)."""

    mean: jax.Array
    log_variance: jax.Array


def lattice(shape: Sequence[int], block: int, shift: jax.Array) -> jax.Array:
    """1 where hidden: (H, W), every other block along both axes, shifted by pixels (2,)."""
    rows, columns = (
        ((jnp.arange(size) + by) // block) % 2 == 0 for size, by in zip(shape, shift, strict=True)
    )
    return (rows[:, None] & columns[None]).astype(jnp.float32)


def guess(nets: Nets, images: jax.Array, masks: jax.Array) -> Guess:
    """What the network makes of all pixels while those under masks (N, H, W) are hidden."""
    mean, log_variance = jnp.split(nets.inpainter(images, masks), 2, axis=-1)
    return Guess(jnp.tanh(mean), jnp.clip(log_variance, *_LOG_VARIANCE))


def make_inpainting_loss(block: int) -> Loss:
    """Minus the Gaussian log likelihood of hidden pixels, without its constant."""

    def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
        del hparams
        count, height, width, channels = batch.images.shape
        shifts = jax.random.randint(key, (count, 2), 0, 2 * block)
        masks = jax.vmap(lambda shift: lattice((height, width), block, shift))(shifts)
        guessed = guess(nets, batch.images, masks)
        residual = jnp.square(batch.images - guessed.mean)
        surprise = 0.5 * (guessed.log_variance + residual * jnp.exp(-guessed.log_variance))
        hidden = masks[..., None]
        total = hidden.sum() * channels
        return (surprise * hidden).sum() / total, {"residual": (residual * hidden).sum() / total}

    return loss


def guess_all(nets: Nets, images: jax.Array, block: int) -> Guess:
    """Every pixel guessed once, put together from four masks."""
    guessed = Guess(jnp.zeros_like(images), jnp.zeros_like(images))
    for shift in product((0, block), repeat=2):
        mask = lattice(images.shape[1:3], block, jnp.array(shift))
        masks = jnp.broadcast_to(mask, images.shape[:3])
        hidden = masks[..., None]
        part = guess(nets, images, masks)
        guessed = jax.tree.map(lambda all_, new, h=hidden: all_ + h * new, guessed, part)
    return guessed


def statistics(images: jax.Array, guessed: Guess, block: int) -> jax.Array:
    """What cells of half a block show, over the block around each: (N, H/cell, W/cell, 6).

    Logarithms of the mean squared residual, of the variance that was predicted, of their ratio and
    of the contrast; the mean grey value, and the one that was predicted.
    """
    residual = jnp.square(images - guessed.mean)
    variance = jnp.exp(guessed.log_variance)
    planes = (residual, variance, residual / variance, images, jnp.square(images), guessed.mean)
    stacked = jnp.stack([plane.mean(axis=-1) for plane in planes], axis=-1)
    means = jnp.moveaxis(means_around(stacked, block, block // 2), -1, 0)
    contrast = jnp.maximum(means[4] - jnp.square(means[3]), 0)
    logs = [jnp.log(value + _LEAST) for value in (*means[:3], contrast)]
    return jnp.stack([*logs, means[3], means[5]], axis=-1)


def make_density_loss(block: int) -> Loss:
    """Minus the mean log density of the statistics of all cells."""

    def loss(nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams) -> LossAndTerms:
        del key, hparams
        observed = statistics(batch.images, guess_all(nets, batch.images, block), block)
        return -nets.density(observed.reshape(-1, observed.shape[-1])).mean(), {}

    return loss


def make_score(block: int) -> Score:
    """`density`, and `surprise`: minus the logarithm of each pixel's; a patch has the mean."""

    def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> MethodOutput:
        del key, hparams
        guessed = guess_all(nets, images, block)
        observed = statistics(images, guessed, block)
        cells = -nets.density(observed.reshape(-1, observed.shape[-1])).reshape(observed.shape[:3])
        variance = jnp.exp(guessed.log_variance)
        surprise = 0.5 * (guessed.log_variance + jnp.square(images - guessed.mean) / variance)
        maps = {
            "density": jax.image.resize(cells, images.shape[:3], "linear"),
            "surprise": surprise.mean(axis=-1),
        }
        return MethodOutput(
            {name: values.mean(axis=(1, 2)) for name, values in maps.items()}, guessed.mean, maps
        )

    return score


def build(settings: Settings) -> Method:
    """The method for a config of `configs/inpainting.py`."""
    image, block = image_shape(settings.data), settings.data.patch_size // 4
    inpainter = Inpainter(2 * settings.data.channels, layer_settings(settings.model))
    density = GaussianMixture(settings.model.components, settings.model.bn_momentum)
    updates = (
        Update("inpainting", ("inpainter",), make_inpainting_loss(block), adam(settings.optim)),
        Update("density", ("density",), make_density_loss(block), adam(settings.optim)),
    )
    return Method(
        name="inpainting",
        nets={
            "inpainter": Net(inpainter, (image, image[:2])),
            "density": Net(density, ((6,),)),
        },
        latent_dim=1,  # nothing is drawn from a latent
        phases=(
            Phase("inpainting", settings.train.epochs, updates[:1]),
            Phase("density", settings.train.density_epochs, updates[1:], "train.density_epochs"),
        ),
        hparams=learning_rates(settings.lr),
        score=make_score(block),
        default_score="density",
        reconstruct=lambda nets, images: guess_all(nets, images, block).mean,
        convolutional=True,
        halves_batch_on_cpu=True,
    )
