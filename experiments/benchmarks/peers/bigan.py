"""BiGAN in PyTorch; see `semad.methods.bigan`."""

import torch
from torch import nn

from semad.nets.layers import LayerSettings

from .layers import Linear, activation, conv, counts, encoder, thesis_generator
from .losses import distance, pair_cross_entropy
from .training import Gan


class PairDiscriminator(nn.Module):
    """Pairs (x, z) -> logits (N, 1) and features (N, 1024·width)."""

    def __init__(self, latent: int, style: LayerSettings) -> None:
        """Makes the layers."""
        super().__init__()
        first, second, of_z, hidden = counts(style, 64, 128, 512, 1024)

        def behind(layer: nn.Module) -> list[nn.Module]:
            return [layer, activation(style), nn.Dropout()]

        self.image = nn.Sequential(
            *behind(conv(1, first, 4, 2)), *behind(conv(first, second, 4, 2)), nn.Flatten()
        )
        self.latent = nn.Sequential(*behind(Linear(latent, of_z)))
        both = Linear(64 * second + of_z, hidden, of_pixels=(8, second))
        self.both = nn.Sequential(*behind(both))
        self.last = Linear(hidden, 1)

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Joins image and latent in the hidden layer."""
        features = self.both(torch.cat([self.image(x), self.latent(z)], dim=1))
        return self.last(features), features


def bigan(latent: int, style: LayerSettings, matching: float) -> Gan:
    """Its networks and losses; `matching` weighs the distance of features."""
    nets = {
        "generator": thesis_generator(latent, style),
        "encoder": encoder(latent, style),
        "discriminator": PairDiscriminator(latent, style),
    }
    discriminator = nets["discriminator"]

    def generate(images: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return nets["generator"](z), nets["encoder"](images)

    def discriminator_loss(
        images: torch.Tensor, z: torch.Tensor, generated: torch.Tensor, code: torch.Tensor
    ) -> torch.Tensor:
        return pair_cross_entropy(discriminator(images, code)[0], discriminator(generated, z)[0])

    def generator_loss(
        images: torch.Tensor, z: torch.Tensor, generated: torch.Tensor, code: torch.Tensor
    ) -> torch.Tensor:
        real, wanted = discriminator(images, code)
        fake, features = discriminator(generated, z)
        swapped = pair_cross_entropy(fake, real)
        return swapped + matching * distance(wanted.detach(), features).mean()

    return Gan(nets, generate, discriminator_loss, generator_loss)
