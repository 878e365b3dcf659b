"""PyTorch peers of semad's systems: the same layers, losses and updates, for the benchmarks.

What a practised PyTorch user would write: G(z) is made once for both updates, the discriminator is
frozen in the generator's, Adam and the averaged weights are one pass each, activations work in
place. Tricks that are off (`semad.losses.adversarial`), terms whose weight is 0 and terms
that only the log has are left out. Needs the extra `bench`.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from semad.config.schema import Settings
from semad.methods.common import layer_settings
from semad.types import Method

from .anogan import anogan
from .bigan import bigan
from .data import crops, spliced
from .dense import DenseDiscriminator, dense_loss
from .ebgan import ebgan
from .ganomaly import ganomaly
from .training import Batch, Gan, Optim, Step, Wrap, eager, gan_step, plain_step


class Peer(NamedTuple):
    """A system in PyTorch.

    Attributes:
      nets: by semad's names.
      step: one training step.
      draw: images (N, 1, H, W), uint8 -> the batches of a step.
    """

    nets: dict[str, nn.Module]
    step: Step
    draw: Callable[[torch.Tensor], list[Batch]]


def make_peer(settings: Settings, method: Method, wrap: Wrap = eager) -> Peer:
    """The peer of a system of semad, with the same sizes, rates and weights of terms.

    Args:
      settings: of AnoGAN, BiGAN, GANomaly, EBGAN, or a dense discriminator without a generator.
      method: built from them.
      wrap: of losses: `eager` or `torch.compile`.
    """
    optim = Optim(
        {name: method.hparams[f"lr_{name}"] for name in method.nets},
        (settings.optim.beta1, settings.optim.beta2),
        settings.train.ema,
    )
    size, count, how = settings.data.patch_size, settings.train.batch_size, method.normalisation
    if settings.method == "dense_discriminator":
        net = DenseDiscriminator(layer_settings(settings.model))

        def loss(seen: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
            return dense_loss(net, seen, masks)

        nets = {"discriminator": net}
        step = plain_step(nets, loss, optim, wrap)
        shares = settings.splices.varied, settings.splices.cracks
        return Peer(nets, step, lambda pixels: [spliced(crops(pixels, count, size, how), *shares)])
    gan = make_gan(settings)

    def draw(pixels: torch.Tensor) -> list[Batch]:
        return [
            (crops(pixels, count, size, how), torch.randn(count, settings.model.latent_dim))
            for _ in range(gan.generator_updates)
        ]

    return Peer(gan.nets, gan_step(gan, optim, wrap), draw)


def make_gan(settings: Settings) -> Gan:
    """The networks and losses of a GAN."""
    latent, style, loss = settings.model.latent_dim, layer_settings(settings.model), settings.loss
    match settings.method:
        case "anogan":
            return anogan(latent, style)
        case "bigan":
            return bigan(latent, style, loss.feature_matching)
        case "ganomaly":
            return ganomaly(latent, style, loss.contextual)
        case "ebgan":
            return ebgan(latent, style, loss.margin, loss.pull_away)
    raise ValueError(f"{settings.method} has no peer")
