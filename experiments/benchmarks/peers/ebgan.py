"""EBGAN in PyTorch; see `semad.methods.ebgan`. Three updates of G to one of D."""

import torch
from torch import nn

from semad.nets.layers import LayerSettings

from .layers import conv_transpose, counts, dense_to_pixels, encoder, ups
from .losses import distance, pull_away
from .training import Gan


class EnergyDiscriminator(nn.Module):
    """Images (N, 1, 32, 32) -> code (N, latent) and reconstruction (N, 1, 32, 32)."""

    def __init__(self, latent: int, style: LayerSettings) -> None:
        """Makes the layers."""
        super().__init__()
        channels = [latent, *counts(style, 256, 128, 64, 32)]
        self.encoder = encoder(latent, style, 5, first=32, spectral=True)
        self.decoder = nn.Sequential(
            nn.Unflatten(1, (latent, 1, 1)),
            *ups(channels, 5, style._replace(slope=0.0)),
            conv_transpose(channels[-1], 1, 5, 2),
            nn.Tanh(),
        )

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encodes and decodes."""
        code = self.encoder(x)
        return code, self.decoder(code)


def energy_generator(latent: int, style: LayerSettings) -> nn.Sequential:
    """(N, latent) -> (N, 1, 32, 32)."""
    channels = counts(style, 256, 128, 64, 32)
    return nn.Sequential(
        *dense_to_pixels(latent, 2, channels[0], style),
        *ups(channels, 5, style),
        conv_transpose(channels[-1], 1, 5, 2),
        nn.Tanh(),
    )


def ebgan(latent: int, style: LayerSettings, margin: float, apart: float) -> Gan:
    """Its networks and losses; `apart` weighs the pull-away term."""
    nets = {
        "generator": energy_generator(latent, style),
        "discriminator": EnergyDiscriminator(latent, style),
    }
    discriminator = nets["discriminator"]

    def generate(images: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (nets["generator"](z),)

    def discriminator_loss(
        images: torch.Tensor, z: torch.Tensor, generated: torch.Tensor
    ) -> torch.Tensor:
        real = distance(images, discriminator(images)[1])
        fake = distance(generated, discriminator(generated)[1])
        return real.mean() + (margin - fake).relu().mean()

    def generator_loss(
        images: torch.Tensor, z: torch.Tensor, generated: torch.Tensor
    ) -> torch.Tensor:
        code, reconstruction = discriminator(generated)
        return distance(generated, reconstruction).mean() + apart * pull_away(code)

    return Gan(nets, generate, discriminator_loss, generator_loss, generator_updates=3)
