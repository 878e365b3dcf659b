"""The layers of the thesis tables: convolutions by backend, batch norm, leaky ReLU.

Biases stay before batch normalisation, as in the framework that the tables were written for,
where they are the default.
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax

from semad.nets import conv
from semad.utils import backend

INITIALIZERS: dict[str, Callable[..., jax.Array]] = {
    "normal": nn.initializers.normal(0.02),  # DCGAN (Radford et al. 2016)
    "xavier": nn.initializers.xavier_normal(),  # as the thesis' code has it
}


class LayerSettings(NamedTuple):
    """What all layers of a network share; `configs/common.py` holds the values.

    Attributes:
      width: multiplies every channel count; 1.0 is the thesis.
      slope: of the leaky ReLU below zero.
      momentum: batch norm's running = momentum · running + (1 - momentum) · batch.
      epsilon: batch norm's, added to variances.
      init: key of `INITIALIZERS`, for kernels.
      batch_norm: whether `normalise` normalises; critics with a gradient penalty do without.
      convolution: one of `semad.nets.conv.IMPLEMENTATIONS`; empty: by backend, width and kernel.
    """

    width: float = 1.0
    slope: float = 0.2
    momentum: float = 0.8
    epsilon: float = 1e-3
    init: str = "normal"
    batch_norm: bool = True
    convolution: str = ""

    def features(self, count: int) -> int:
        """The channel count of a table, scaled by the width; at least 1."""
        return max(1, round(count * self.width))

    def dense(self, features: int) -> nn.Dense:
        """A dense layer of exactly `features` units."""
        return nn.Dense(features, kernel_init=INITIALIZERS[self.init])

    def normalise(self, x: jax.Array, train: bool) -> jax.Array:
        """Batch normalisation, then leaky ReLU. Call inside a compact method."""
        if self.batch_norm:
            x = nn.BatchNorm(
                use_running_average=not train, momentum=self.momentum, epsilon=self.epsilon
            )(x)
        return self.activate(x)

    def activate(self, x: jax.Array) -> jax.Array:
        """Leaky ReLU."""
        return nn.leaky_relu(x, self.slope)

    def drop(self, x: jax.Array, rate: float, train: bool) -> jax.Array:
        """Dropout, which needs a key in training mode. Call inside a compact method."""
        return nn.Dropout(rate, deterministic=not train)(x) if rate else x


def spectral(layer: nn.Module, on: bool, train: bool) -> Callable[[jax.Array], jax.Array]:
    """A layer whose kernel is divided by its largest singular value (Miyato et al. 2018).

    One power iteration per call in training mode; its vectors are kept among the batch statistics.
    Call inside a compact method.
    """
    if not on:
        return layer
    return lambda x: nn.SpectralNorm(layer)(x, update_stats=train)


class Conv(nn.Module):
    """Convolution with SAME padding: (N, H, W, C) -> (N, ⌈H/s⌉, ⌈W/s⌉, features)."""

    features: int
    size: int
    stride: int
    style: LayerSettings
    transposed: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Convolves; `transposed` upsamples by the stride: -> (N, H·s, W·s, features)."""
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", INITIALIZERS[self.style.init], shape)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        function = conv.conv_transpose if self.transposed else conv.conv
        chosen = self.style.convolution or backend.convolution(self.style.width, self.size)
        y = function(x, kernel, self.stride, chosen)
        return y + bias.reshape((1, 1, 1, -1))
