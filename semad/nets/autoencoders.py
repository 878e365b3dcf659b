"""Networks of the systems that reconstruct: GANomaly's decoder and discriminator, Skip-GANomaly's
U-Net, EBGAN's discriminator and generator.

Where the thesis' tables and the code that made its numbers differ, the code is followed: kernels
of 5 where table A4 prints 4, ReLU in decoders.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from semad.nets.layers import Conv, LayerSettings
from semad.nets.thesis import ConvStackSettings, ConvTower, DiscriminatorOutput, Encoder, levels


def halvings(patch_size: int) -> int:
    """How many halvings lead from the patch to 1×1."""
    return levels(patch_size) + 2


class Decoder(nn.Module):
    """GANomaly's decoder: z (N, latent), as 1×1 pixels -> images (N, P, P, channels).

    Transposed convolutions 5×5 of stride 2, batch norm, ReLU, the last one with 16 channels and
    each before it with twice as many, up to 512; then one of stride 1, tanh.
    """

    patch_size: int
    channels: int
    style: LayerSettings

    @nn.compact
    def __call__(self, z: jax.Array, train: bool) -> jax.Array:
        """Decodes latents; values in [-1, 1]."""
        style = self.style._replace(slope=0.0)
        x = z[:, None, None, :]
        for level in reversed(range(halvings(self.patch_size))):
            features = style.features(min(512, 16 * 2**level))
            x = style.normalise(Conv(features, 5, 2, style, transposed=True)(x), train)
        return jnp.tanh(Conv(self.channels, 5, 1, style, transposed=True)(x))


class GanomalyDiscriminator(nn.Module):
    """GANomaly's discriminator: convolutions 5×5 of stride 2 with 64, 128, 256 channels.

    Batch norm and leaky ReLU behind each and once more behind the flattened last one, which gives
    the features; then a dense layer.
    """

    patch_size: int
    style: LayerSettings
    spectral: bool

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> DiscriminatorOutput:
        """Images (N, P, P, C) -> DiscriminatorOutput."""
        tower = ConvStackSettings(size=5, spectral=self.spectral)
        features = self.style.normalise(
            ConvTower(self.patch_size, self.style, tower)(x, train), train
        )
        return DiscriminatorOutput(self.style.dense(1)(features)[:, 0], features)


class EnergyGenerator(nn.Module):
    """The generator of EBGAN's family: z (N, latent) -> images (N, P, P, channels) in [-1, 1].

    Dense to 2×2×256, batch norm, leaky ReLU; transposed convolutions 5×5 of stride 2 with 128, 64,
    32 channels, batch norm, leaky ReLU; a last one to the image, tanh. Tables A6 and A7 of the
    thesis print AnoGAN's generator; this is what its code builds for 32 pixels. Another size has
    a level less or more, doubling backwards up to 256.
    """

    patch_size: int
    channels: int
    style: LayerSettings

    @nn.compact
    def __call__(self, z: jax.Array, train: bool) -> jax.Array:
        """Decodes latents."""
        style = self.style
        base = style.features(256)
        x = style.normalise(style.dense(2 * 2 * base)(z), train).reshape(-1, 2, 2, base)
        for level in reversed(range(levels(self.patch_size))):
            features = style.features(min(256, 32 * 2**level))
            x = style.normalise(Conv(features, 5, 2, style, transposed=True)(x), train)
        return jnp.tanh(Conv(self.channels, 5, 2, style, transposed=True)(x))


class Energy(NamedTuple):
    """What EBGAN's discriminator makes of images.

    Attributes:
      code: Enc(x), (N, latent).
      reconstruction: AE(x) = Dec(Enc(x)), (N, P, P, C) in [-1, 1].
    """

    code: jax.Array
    reconstruction: jax.Array


class EnergyDiscriminator(nn.Module):
    """EBGAN's discriminator, an autoencoder (section 3.2; Zhao et al. 2017).

    Encoder: spectrally normalised convolutions 5×5 of stride 2 with 32, 64, 128 channels, batch
    norm but for the first, leaky ReLU, and a dense layer. Decoder: from 1×1, transposed ones
    with 256, 128, 64, 32 channels, batch norm, ReLU, and a last one to the image, tanh.
    """

    patch_size: int
    channels: int
    latent_dim: int
    style: LayerSettings

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> Energy:
        """Images (N, P, P, C) -> Energy."""
        tower = ConvStackSettings(size=5, first=32, first_norm=False, spectral=True)
        code = Encoder(self.patch_size, self.latent_dim, self.style, tower)(x, train)
        relu = self.style._replace(slope=0.0)
        y = code[:, None, None, :]
        for level in reversed(range(halvings(self.patch_size) - 1)):
            features = relu.features(min(512, 32 * 2**level))
            y = relu.normalise(Conv(features, 5, 2, relu, transposed=True)(y), train)
        return Energy(code, jnp.tanh(Conv(self.channels, 5, 2, relu, transposed=True)(y)))


class UNet(nn.Module):
    """Skip-GANomaly's generator: images (N, P, P, C) -> images in [-1, 1].

    Convolutions 5×5 of stride 2 down to 1×1 with 64, 128, … 512 channels, batch norm but for
    the first and the last, leaky ReLU; back up with ReLU, and at every level the features of
    the way down joined along channels (Akçay et al. 2019; Isola et al. 2017).
    """

    patch_size: int
    channels: int
    style: LayerSettings

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Reconstructs images."""
        down, up = self.style, self.style._replace(slope=0.0)
        depth = halvings(self.patch_size)
        skips = []
        for level in range(depth):
            x = Conv(down.features(min(512, 64 * 2**level)), 5, 2, down)(x)
            x = down.normalise(x, train) if 0 < level < depth - 1 else down.activate(x)
            skips.append(x)
        for level in reversed(range(depth - 1)):
            features = up.features(min(512, 64 * 2**level))
            x = up.normalise(Conv(features, 5, 2, up, transposed=True)(x), train)
            x = jnp.concatenate([x, skips[level]], axis=-1)
        return jnp.tanh(Conv(self.channels, 5, 2, up, transposed=True)(x))
