"""One training step of a system in PyTorch: losses, backward, Adam, averaged weights."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

Batch = tuple[torch.Tensor, ...]
"""What a loss is given: images (N, 1, P, P) and latents (N, latent) of a GAN."""

Step = Callable[[Sequence[Batch]], list[torch.Tensor]]
"""Given a batch for each repeat of an update, trains, and returns the losses of all updates."""

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]
"""What is done to a function of tensors before it is used: `eager`, or `torch.compile`."""


class Optim(NamedTuple):
    """How a peer is trained.

    Attributes:
      rates: learning rate of each network.
      betas: of Adam.
      decay: of the averaged weights.
    """

    rates: Mapping[str, float]
    betas: tuple[float, float] = (0.5, 0.999)
    decay: float = 0.999


class Gan(NamedTuple):
    """A GAN: one update of the discriminator, then those of all other networks.

    Attributes:
      nets: by semad's names.
      generate: a batch -> what both losses need of the generating networks, made once.
      discriminator_loss: (*batch, *generated) -> scalar.
      generator_loss: the same.
      generator_updates: per step, each on a batch of its own.
    """

    nets: dict[str, nn.Module]
    generate: Callable[..., tuple[torch.Tensor, ...]]
    discriminator_loss: Callable[..., torch.Tensor]
    generator_loss: Callable[..., torch.Tensor]
    generator_updates: int = 1


def eager(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as it is."""
    return function


def adam(nets: Mapping[str, nn.Module], optim: Optim) -> torch.optim.Adam:
    """One optimiser for some networks, each with its learning rate; a single pass over them."""
    groups = [{"params": net.parameters(), "lr": optim.rates[name]} for name, net in nets.items()]
    return torch.optim.Adam(groups, betas=optim.betas, fused=True)


def in_channels_last(nets: Mapping[str, nn.Module]) -> None:
    """Lays kernels, and so what they give out, out as (N, H, W, C).

    On the CPU of docs/performance.md steps of `small` are 5 to 16 % faster so, those of `thesis`
    within 5 % of what they are otherwise.
    """
    for net in nets.values():
        net.to(memory_format=torch.channels_last)


def descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> torch.Tensor:
    """Moves down the gradient of a loss, and returns the loss without it."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


def follower(nets: Iterable[nn.Module], decay: float) -> Callable[[], None]:
    """A call that moves the average of weights and running statistics towards the newest."""
    tensors = [t for net in nets for t in (*net.parameters(), *net.buffers())]
    current = [tensor for tensor in tensors if tensor.is_floating_point()]
    averaged = [tensor.detach().clone() for tensor in current]
    follow = get_ema_multi_avg_fn(decay)
    return lambda: follow(averaged, current, 0)


def gan_step(gan: Gan, optim: Optim, wrap: Wrap = eager) -> Step:
    """The step of a GAN; the generator's updates find the discriminator frozen.

    In its updates the discriminator's batch norm, spectral norm and dropout stay in training mode,
    as in semad; here they then also leave their mark on its running statistics.
    """
    in_channels_last(gan.nets)
    discriminator = gan.nets["discriminator"]
    others = {name: net for name, net in gan.nets.items() if name != "discriminator"}
    optimizers = adam({"discriminator": discriminator}, optim), adam(others, optim)
    follow = follower(gan.nets.values(), optim.decay)
    generate, discriminator_loss, generator_loss = map(
        wrap, (gan.generate, gan.discriminator_loss, gan.generator_loss)
    )

    def step(batches: Sequence[Batch]) -> list[torch.Tensor]:
        generated = generate(*batches[0])
        fixed = [tensor.detach() for tensor in generated]
        losses = [descend(optimizers[0], discriminator_loss(*batches[0], *fixed))]
        discriminator.requires_grad_(False)
        for number in range(gan.generator_updates):
            if number:
                generated = generate(*batches[number])
            loss = generator_loss(*batches[number], *generated)
            losses.append(descend(optimizers[1], loss))
        discriminator.requires_grad_(True)
        follow()
        return losses

    return step


def plain_step(
    nets: dict[str, nn.Module], loss: Callable[..., torch.Tensor], optim: Optim, wrap: Wrap = eager
) -> Step:
    """The step of a system with one loss for all of its networks."""
    in_channels_last(nets)
    optimizer, follow, wrapped = adam(nets, optim), follower(nets.values(), optim.decay), wrap(loss)

    def step(batches: Sequence[Batch]) -> list[torch.Tensor]:
        losses = [descend(optimizer, wrapped(*batches[0]))]
        follow()
        return losses

    return step
