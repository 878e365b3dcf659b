"""AnoGAN's networks (table A1, 32 pixels), its training and its search in PyTorch."""

from collections.abc import Callable

import torch
from torch import nn

from semad.nets.layers import LayerSettings

from .layers import Linear, counts, thesis_generator, tower
from .losses import generator_cross_entropy, pair_cross_entropy
from .training import Gan


def anogan_nets(latent: int, style: LayerSettings) -> dict[str, nn.Module]:
    """Generator, and discriminator as its convolutions and its last layer."""
    channels = counts(style, 64, 128, 256)
    features = nn.Sequential(*tower(channels, 4, style), nn.Flatten())
    last = Linear(16 * channels[-1], 1, of_pixels=(4, channels[-1]))
    return {
        "generator": thesis_generator(latent, style),
        "discriminator": nn.Sequential(features, last),
    }


def anogan(latent: int, style: LayerSettings) -> Gan:
    """The plain GAN of phase `gan`."""
    nets = anogan_nets(latent, style)
    generator, discriminator = nets["generator"], nets["discriminator"]

    def generate(images: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (generator(z),)

    def discriminator_loss(
        images: torch.Tensor, z: torch.Tensor, generated: torch.Tensor
    ) -> torch.Tensor:
        return pair_cross_entropy(discriminator(images), discriminator(generated))

    def generator_loss(
        images: torch.Tensor, z: torch.Tensor, generated: torch.Tensor
    ) -> torch.Tensor:
        return generator_cross_entropy(discriminator(generated))

    return Gan(nets, generate, discriminator_loss, generator_loss)


def anogan_search(
    nets: dict[str, nn.Module],
    start: torch.Tensor,
    steps: int,
    weight: float = 0.1,
    lr: float = 1e-3,
) -> Callable[[torch.Tensor], torch.Tensor]:
    """The published search of some images at once; one image is the loop of public AnoGAN code.

    Returns:
      images (N, 1, 32, 32) -> the objective at the last step, (N,).
    """
    generator, (features, _) = nets["generator"], nets["discriminator"]
    for net in (generator, features):
        net.eval().requires_grad_(False)

    def run(images: torch.Tensor) -> torch.Tensor:
        z = start.repeat(len(images), 1).requires_grad_(True)
        optimizer = torch.optim.Adam([z], lr)
        wanted = features(images)

        def objective() -> torch.Tensor:
            generated = generator(z)
            residual = (images - generated).abs().flatten(1).sum(1)
            apart = (wanted - features(generated)).abs().sum(1)
            return (1 - weight) * residual + weight * apart

        for _ in range(steps):
            optimizer.zero_grad()
            objective().sum().backward()
            optimizer.step()
        with torch.no_grad():
            return objective()

    return run
