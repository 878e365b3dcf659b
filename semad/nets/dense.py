"""Convolutional networks for images of any size, with sides that are multiples of 16."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from semad.nets.layers import Conv, LayerSettings
from semad.nets.thesis import DiscriminatorOutput

CELL_PIXELS = 4
"""Height and width of a cell, each of which has its own logit of the discriminator."""

FEATURES = 128
"""Of a cell before the discriminator's last layer, at full width."""

_DOWN = (64, 128, 256, 256)
_UP = (128, 128, 64)


class DenseUNet(nn.Module):
    """Down to 1/16 and back to 1/`finest`: (N, H, W, C) -> (N, H/finest, W/finest, features).

    What its last layer sees comes second.
    """

    features: int
    finest: int
    style: LayerSettings

    @nn.compact
    def __call__(
        self, x: jax.Array, *beside: jax.Array, train: bool
    ) -> tuple[jax.Array, jax.Array]:
        """Joins what lies beside on the way down and up.

        `beside` are features of other networks at 1/2 to 1/16, or none; each is normalised, and
        seen along with what is made at its size.
        """
        style = self.style
        levels = []
        for level, features in enumerate(_DOWN):
            x = style.normalise(Conv(style.features(features), 4, 2, style)(x), train)
            if beside:
                norm = nn.BatchNorm(
                    use_running_average=not train,
                    momentum=style.momentum,
                    epsilon=style.epsilon,
                    use_bias=False,
                    use_scale=False,
                )
                x = jnp.concatenate([x, norm(beside[level])], axis=-1)
            levels.append(x)
        for level, features in zip((2, 1, 0), _UP, strict=True):
            if 2 ** (level + 1) < self.finest:
                break
            x = Conv(style.features(features), 4, 2, style, transposed=True)(x)
            x = style.normalise(jnp.concatenate([x, levels[level]], axis=-1), train)
        if self.finest == 1:
            return Conv(self.features, 4, 2, style, transposed=True)(x), x
        x = style.normalise(Conv(style.features(FEATURES), 3, 1, style)(x), train)
        return Conv(self.features, 3, 1, style)(x), x


class DenseDiscriminator(nn.Module):
    """Images (N, H, W, C) -> logits (N, H/4, W/4) and features (N, H/4, W/4, F) of each cell.

    As the discriminator of Schönfeld et al. (2020), it has a logit for each place; cells suffice
    where maps are smoothed, and cost a sixteenth of pixels.
    """

    style: LayerSettings

    @nn.compact
    def __call__(self, x: jax.Array, *beside: jax.Array, train: bool) -> DiscriminatorOutput:
        """How foreign every cell looks; `beside` are features of the images, see `DenseUNet`."""
        logits, features = DenseUNet(1, CELL_PIXELS, self.style)(x, *beside, train=train)
        return DiscriminatorOutput(logits[..., 0], features)


class Inpainter(nn.Module):
    """Fills what is hidden: (N, H, W, C) and a mask (N, H, W), 1 there -> (N, H, W, features).

    `beside` are further planes (N, H, W), such as noise.
    """

    features: int
    style: LayerSettings

    @nn.compact
    def __call__(
        self, images: jax.Array, mask: jax.Array, *beside: jax.Array, train: bool
    ) -> jax.Array:
        """Hidden pixels are set to 0 before the network sees them."""
        hidden = mask[..., None]
        planes: Sequence[jax.Array] = [plane[..., None] for plane in beside]
        x = jnp.concatenate([images * (1 - hidden), hidden, *planes], axis=-1)
        return DenseUNet(self.features, 1, self.style)(x, train=train)[0]


def to_cells(masks: jax.Array) -> jax.Array:
    """Means over cells: (N, H, W) -> (N, H/4, W/4)."""
    count, height, width = masks.shape
    shape = (count, height // CELL_PIXELS, CELL_PIXELS, width // CELL_PIXELS, CELL_PIXELS)
    return masks.reshape(shape).mean(axis=(2, 4))


def to_pixels(cells: jax.Array) -> jax.Array:
    """Values of cells between whose middles pixels interpolate: (N, h, w) -> (N, 4h, 4w)."""
    count, height, width = cells.shape
    shape = (count, height * CELL_PIXELS, width * CELL_PIXELS)
    return jax.image.resize(cells, shape, "linear")
