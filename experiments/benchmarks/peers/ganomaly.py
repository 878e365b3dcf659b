"""GANomaly in PyTorch; see `semad.methods.ganomaly`. No noise is drawn: it is off by default."""

import torch
from torch import nn

from semad.nets.layers import LayerSettings

from .layers import (
    Linear,
    PixelNorm,
    activation,
    conv_transpose,
    counts,
    encoder,
    tower,
    ups,
)
from .losses import distance, generator_cross_entropy, pair_cross_entropy
from .training import Gan


def decoder(latent: int, style: LayerSettings) -> nn.Sequential:
    """(N, latent) -> (N, 1, 32, 32); ReLU, kernels of 5."""
    channels = [latent, *counts(style, 256, 128, 64, 32, 16)]
    return nn.Sequential(
        nn.Unflatten(1, (latent, 1, 1)),
        *ups(channels, 5, style._replace(slope=0.0)),
        conv_transpose(channels[-1], 1, 5, 1),
        nn.Tanh(),
    )


def discriminator_net(style: LayerSettings) -> nn.Sequential:
    """(N, 1, 32, 32) -> logits (N, 1); its flat features are normed once more."""
    channels = counts(style, 64, 128, 256)
    return nn.Sequential(
        *tower(channels, 5, style, spectral=True),
        nn.Flatten(),
        PixelNorm(4, channels[-1], style),
        activation(style),
        Linear(16 * channels[-1], 1, of_pixels=(4, channels[-1])),
    )


def ganomaly(latent: int, style: LayerSettings, contextual: float) -> Gan:
    """Its networks and losses; `contextual` is w_con, the other weights are 1."""
    nets = {
        "encoder": encoder(latent, style, 5, spectral=True),
        "decoder": decoder(latent, style),
        "encoder2": encoder(latent, style, 5, spectral=True),
        "discriminator": discriminator_net(style),
    }
    discriminator = nets["discriminator"]

    def generate(images: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, ...]:
        code = nets["encoder"](images)
        return nets["decoder"](code), code

    def discriminator_loss(
        images: torch.Tensor, z: torch.Tensor, rebuilt: torch.Tensor, code: torch.Tensor
    ) -> torch.Tensor:
        return pair_cross_entropy(discriminator(images), discriminator(rebuilt))

    def generator_loss(
        images: torch.Tensor, z: torch.Tensor, rebuilt: torch.Tensor, code: torch.Tensor
    ) -> torch.Tensor:
        adversarial = generator_cross_entropy(discriminator(rebuilt))
        residual = (images - rebuilt).abs().flatten(1).sum(1).mean()
        again = nets["encoder2"](rebuilt)
        return adversarial + contextual * residual + distance(code, again).mean()

    return Gan(nets, generate, discriminator_loss, generator_loss)
