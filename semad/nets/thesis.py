"""The networks of the thesis' tables A1 and A2, for patches of 16, 32, 64 and 128 pixels.

The tables describe 32 pixels. Another size has one level less or more: the generator always
starts at 4×4 with 512 channels and ends its levels at 128, doubling backwards up to 512; the
discriminator and the encoder start at 64, double up to 512 and end at 4×4.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from semad.nets.layers import Conv, LayerSettings, spectral

PATCH_SIZES = (16, 32, 64, 128)


class DiscriminatorOutput(NamedTuple):
    """A discriminator's output: logits (N,), and the features (N, F) before its last layer.

    A dense one has both for every cell of the images.
    """

    logits: jax.Array
    features: jax.Array


def levels(patch_size: int) -> int:
    """How many halvings lead from the patch to 4×4."""
    return PATCH_SIZES.index(patch_size) + 2


class Generator(nn.Module):
    """Generator of table A1: z (N, latent) -> images (N, P, P, channels) in [-1, 1].

    Table A3 differs in the size of its last kernel, 4 instead of 5.
    """

    patch_size: int
    channels: int
    style: LayerSettings
    last_size: int = 5

    @nn.compact
    def __call__(self, z: jax.Array, train: bool) -> jax.Array:
        """Decodes latents."""
        style = self.style
        base = style.features(512)
        x = style.normalise(style.dense(4 * 4 * base)(z), train)
        x = x.reshape(-1, 4, 4, base)
        for level in reversed(range(levels(self.patch_size))):
            features = style.features(min(512, 128 * 2**level))
            x = style.normalise(Conv(features, 4, 2, style, transposed=True)(x), train)
        return jnp.tanh(Conv(self.channels, self.last_size, 1, style, transposed=True)(x))


class ConvStackSettings(NamedTuple):
    """What tells one tower of convolutions of stride 2 from another; the defaults are table A1's.

    Attributes:
      size: of the kernels.
      first: channels of the first convolution; each has twice those before it, up to 512.
      first_norm: whether batch norm follows the first convolution too.
      more: convolutions beyond those that lead to 4×4; negative for fewer.
      spectral: whether kernels are normalised spectrally.
      dropout: rate behind every convolution.
    """

    size: int = 4
    first: int = 64
    first_norm: bool = True
    more: int = 0
    spectral: bool = False
    dropout: float = 0.0


class ConvTower(nn.Module):
    """Convolutions of stride 2: images (N, P, P, C) -> flat features of the last one."""

    patch_size: int
    style: LayerSettings
    tower: ConvStackSettings = ConvStackSettings()

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Flattened activations of the last convolution."""
        style, tower = self.style, self.tower
        for level in range(levels(self.patch_size) + tower.more):
            features = style.features(min(512, tower.first * 2**level))
            x = spectral(Conv(features, tower.size, 2, style), tower.spectral, train)(x)
            normed = level > 0 or tower.first_norm
            x = style.normalise(x, train) if normed else style.activate(x)
            x = style.drop(x, tower.dropout, train)
        return x.reshape(x.shape[0], -1)


class Discriminator(nn.Module):
    """Discriminator of table A1, by default; the sigmoid is left to the loss."""

    patch_size: int
    style: LayerSettings
    tower: ConvStackSettings = ConvStackSettings()
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> DiscriminatorOutput:
        """Images (N, P, P, C) -> DiscriminatorOutput; the features are those of the conv tower."""
        features = ConvTower(self.patch_size, self.style, self.tower)(x, train)
        features = self.style.drop(features, self.dropout, train)
        return DiscriminatorOutput(self.style.dense(1)(features)[:, 0], features)


class Encoder(nn.Module):
    """Encoder of table A2, by default: images (N, P, P, C) -> z (N, latent)."""

    patch_size: int
    latent_dim: int
    style: LayerSettings
    tower: ConvStackSettings = ConvStackSettings()

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Encodes images; the last layer is linear."""
        features = ConvTower(self.patch_size, self.style, self.tower)(x, train)
        return self.style.dense(self.latent_dim)(features)


class Gaussian(NamedTuple):
    """A stochastic encoder's output: mean and log variance of z, (N, latent) each."""

    mean: jax.Array
    log_variance: jax.Array


class GaussianEncoder(nn.Module):
    """ALI's encoder: as `Encoder`, with a distribution of z in place of a value."""

    patch_size: int
    latent_dim: int
    style: LayerSettings
    tower: ConvStackSettings = ConvStackSettings()

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> Gaussian:
        """Encodes images (N, P, P, C)."""
        both = Encoder(self.patch_size, 2 * self.latent_dim, self.style, self.tower)(x, train)
        return Gaussian(both[:, : self.latent_dim], both[:, self.latent_dim :])


class PairDiscriminator(nn.Module):
    """BiGAN's discriminator of pairs (x, z), as the finished thesis ran it, after EGBAD.

    x: convolutions 4×4 of stride 2 with 64 and 128 channels; z: a dense layer of 512; both joined
    in a hidden layer of 1024, whose activations are the features f(x, z). Leaky ReLU and dropout of
    a half behind each, no batch norm (Zenati et al. 2018, "Efficient GAN-based anomaly
    detection"). The hidden layer is what can tell whether x and z belong together: a single unit
    on the concatenation would compute a(x) + b(z). Dropout needs a key in training mode.
    """

    patch_size: int
    style: LayerSettings
    dropout: float = 0.5

    @nn.compact
    def __call__(self, x: jax.Array, z: jax.Array, train: bool) -> DiscriminatorOutput:
        """Images (N, P, P, C) and latents (N, latent) -> DiscriminatorOutput."""
        style = self.style._replace(batch_norm=False)
        image = ConvTower(self.patch_size, style, ConvStackSettings(more=-1, dropout=self.dropout))(
            x, train
        )

        def hidden(x: jax.Array, features: int) -> jax.Array:
            x = style.activate(style.dense(style.features(features))(x))
            return style.drop(x, self.dropout, train)

        both = jnp.concatenate([image, hidden(z, 512)], axis=1)
        features = hidden(both, 1024)
        return DiscriminatorOutput(style.dense(1)(features)[:, 0], features)
