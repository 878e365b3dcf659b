"""The layers of semad's networks in PyTorch, (N, C, H, W), for the peers of the benchmarks.

PyTorch pads a convolution alike on all sides; SAME padding puts an odd pixel at the end. Both give
the same network where images and kernels are turned by half, so that no peer pays for a padded
copy: `semad` sees x, the peer x turned, and `peers.weights` turns kernels and images.
"""

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from semad.nets.layers import LayerSettings

Pixels = tuple[int, int] | None
"""(side, channels) of the units that stand for pixels; None for units that do not."""


class Linear(nn.Linear):
    """A linear layer that knows which of its units are pixels, the first ones.

    They are ordered (c, h, w) here and (h, w, c) in semad, which `peers.weights` has to know.
    """

    def __init__(
        self, inputs: int, outputs: int, of_pixels: Pixels = None, to_pixels: Pixels = None
    ) -> None:
        """Makes the layer."""
        super().__init__(inputs, outputs)
        self.of_pixels, self.to_pixels = of_pixels, to_pixels


class PixelNorm(nn.BatchNorm1d):
    """Batch norm of flattened pixels, each with a scale of its own."""

    def __init__(self, side: int, channels: int, style: LayerSettings) -> None:
        """Makes the layer."""
        super().__init__(side * side * channels, style.epsilon, 1 - style.momentum)
        self.to_pixels = side, channels


def conv(inputs: int, outputs: int, size: int, stride: int, spectral: bool = False) -> nn.Module:
    """(N, inputs, H, W) -> (N, outputs, H/stride, W/stride)."""
    layer = nn.Conv2d(inputs, outputs, size, stride, (size - 1) // 2)
    return spectral_norm(layer) if spectral else layer


def conv_transpose(inputs: int, outputs: int, size: int, stride: int) -> nn.Module:
    """(N, inputs, H, W) -> (N, outputs, H·stride, W·stride)."""
    beyond = stride - 1 if size % 2 else stride - 2
    return nn.ConvTranspose2d(inputs, outputs, size, stride, (size - 1) // 2, beyond)


def activation(style: LayerSettings) -> nn.Module:
    """Leaky ReLU in place; no layer before it needs what it gave out."""
    return nn.LeakyReLU(style.slope, inplace=True) if style.slope else nn.ReLU(inplace=True)


def normed(channels: int, style: LayerSettings) -> list[nn.Module]:
    """Batch norm and activation."""
    return [nn.BatchNorm2d(channels, style.epsilon, 1 - style.momentum), activation(style)]


def dense_to_pixels(inputs: int, side: int, channels: int, style: LayerSettings) -> list[nn.Module]:
    """(N, inputs) -> (N, channels, side, side), with batch norm and activation."""
    return [
        Linear(inputs, side * side * channels, to_pixels=(side, channels)),
        PixelNorm(side, channels, style),
        activation(style),
        nn.Unflatten(1, (channels, side, side)),
    ]


def ups(channels: list[int], size: int, style: LayerSettings) -> list[nn.Module]:
    """Transposed convolutions of stride 2 between these channels, each normed."""
    layers: list[nn.Module] = []
    for before, after in zip(channels, channels[1:], strict=False):
        layers += [conv_transpose(before, after, size, 2), *normed(after, style)]
    return layers


def tower(
    channels: list[int],
    size: int,
    style: LayerSettings,
    first_norm: bool = True,
    spectral: bool = False,
) -> list[nn.Module]:
    """Convolutions of stride 2 from an image of one channel; see `semad.nets.thesis.ConvTower`."""
    layers: list[nn.Module] = []
    for before, after in zip([1, *channels], channels, strict=False):
        layers.append(conv(before, after, size, 2, spectral))
        layers += [activation(style)] if before == 1 and not first_norm else normed(after, style)
    return layers


def counts(style: LayerSettings, *channels: int) -> list[int]:
    """Channel counts of a table, scaled by the width."""
    return [style.features(count) for count in channels]


def thesis_generator(latent: int, style: LayerSettings) -> nn.Sequential:
    """Generator of table A1 for 32 pixels: (N, latent) -> (N, 1, 32, 32)."""
    channels = counts(style, 512, 512, 256, 128)
    return nn.Sequential(
        *dense_to_pixels(latent, 4, channels[0], style),
        *ups(channels, 4, style),
        conv_transpose(channels[-1], 1, 5, 1),
        nn.Tanh(),
    )


def encoder(
    latent: int,
    style: LayerSettings,
    size: int = 4,
    first: int = 64,
    spectral: bool = False,
) -> nn.Sequential:
    """(N, 1, 32, 32) -> (N, latent); the first convolution has no batch norm."""
    channels = counts(style, first, 2 * first, 4 * first)
    return nn.Sequential(
        *tower(channels, size, style, first_norm=False, spectral=spectral),
        nn.Flatten(),
        Linear(16 * channels[-1], latent, of_pixels=(4, channels[-1])),
    )
