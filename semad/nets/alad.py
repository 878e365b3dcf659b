"""ALAD's networks (table A3; Zenati et al. 2018, "Adversarially Learned Anomaly Detection").

All layers but the generator's can be normalised spectrally. Dropout needs a key in training mode.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from semad.nets.layers import Conv, LayerSettings, spectral
from semad.nets.thesis import ConvStackSettings, ConvTower, DiscriminatorOutput

_DROPOUT = 0.2


class _Dense(nn.Module):
    """Dense layer, leaky ReLU, dropout."""

    features: int
    style: LayerSettings
    spectral: bool

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """(N, F) -> (N, features)."""
        x = spectral(self.style.dense(self.features), self.spectral, train)(x)
        return self.style.drop(self.style.activate(x), _DROPOUT, train)


class AladEncoder(nn.Module):
    """Convolutions down to 1×1: images (N, P, P, C) -> z (N, latent)."""

    patch_size: int
    latent_dim: int
    style: LayerSettings
    spectral: bool

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Encodes images; the last layer is linear."""
        tower = ConvStackSettings(first=32, more=1, spectral=self.spectral)
        x = ConvTower(self.patch_size, self.style, tower)(x, train)
        x = x.reshape(x.shape[0], 2, 2, -1)
        last = Conv(self.latent_dim, 4, 2, self.style)
        return spectral(last, self.spectral, train)(x)[:, 0, 0]


class DiscriminatorXZ(nn.Module):
    """Judges pairs (x, z); the features are those of its last hidden layer."""

    patch_size: int
    style: LayerSettings
    spectral: bool

    @nn.compact
    def __call__(self, x: jax.Array, z: jax.Array, train: bool) -> DiscriminatorOutput:
        """Images (N, P, P, C) and latents (N, latent) -> DiscriminatorOutput."""
        style, norm = self.style, self.spectral
        x = ConvTower(self.patch_size, style, ConvStackSettings(first=128, spectral=norm))(x, train)
        for _ in range(2):
            z = _Dense(style.features(512), style, norm)(z, train)
        both = jnp.concatenate([x, z], axis=1)
        for _ in range(2):
            both = _Dense(style.features(1024), style, norm)(both, train)
        return DiscriminatorOutput(spectral(style.dense(1), norm, train)(both)[:, 0], both)


class DiscriminatorXX(nn.Module):
    """Judges pairs of images, joined along channels; the features are its last convolution's."""

    style: LayerSettings
    spectral: bool

    @nn.compact
    def __call__(self, x: jax.Array, y: jax.Array, train: bool) -> DiscriminatorOutput:
        """Images (N, P, P, C) twice -> DiscriminatorOutput."""
        style = self.style
        both = jnp.concatenate([x, y], axis=-1)
        for features in (64, 128):
            conv = Conv(style.features(features), 4, 2, style)
            both = style.activate(spectral(conv, self.spectral, train)(both))
            both = style.drop(both, _DROPOUT, train)
        flat = both.reshape(both.shape[0], -1)
        return DiscriminatorOutput(spectral(style.dense(1), self.spectral, train)(flat)[:, 0], flat)


class DiscriminatorZZ(nn.Module):
    """Judges pairs of latents."""

    style: LayerSettings
    spectral: bool

    @nn.compact
    def __call__(self, z: jax.Array, w: jax.Array, train: bool) -> DiscriminatorOutput:
        """Latents (N, latent) twice -> DiscriminatorOutput."""
        both = jnp.concatenate([z, w], axis=1)
        for features in (64, 32):
            both = _Dense(self.style.features(features), self.style, self.spectral)(both, train)
        last = spectral(self.style.dense(1), self.spectral, train)
        return DiscriminatorOutput(last(both)[:, 0], both)
