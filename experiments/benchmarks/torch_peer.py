"""AnoGAN's networks and its search in PyTorch, the peer of semad's benchmarks. Extra `bench`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from semad.types import Weights

Nets = tuple[nn.Sequential, nn.Sequential, nn.Linear]
"""Generator, the discriminator's convolutions, and its last layer."""


def torch_nets(width: float, latent: int, epsilon: float = 1e-3) -> Nets:
    """The networks of table A1 for patches of 32 pixels, at a width."""
    c = [round(width * count) for count in (512, 512, 256, 128, 64)]

    def level(layer: nn.Module, features: int) -> list[nn.Module]:
        return [layer, nn.BatchNorm2d(features, epsilon, 0.2), nn.LeakyReLU(0.2)]

    dense = [nn.Linear(latent, 16 * c[0]), nn.BatchNorm1d(16 * c[0], epsilon, 0.2)]
    up = [level(nn.ConvTranspose2d(i, o, 4, 2, 1), o) for i, o in zip(c[:3], c[1:4], strict=True)]
    last = nn.ConvTranspose2d(c[3], 1, 5, 1, 2)
    generator = nn.Sequential(
        *dense, nn.LeakyReLU(0.2), nn.Unflatten(1, (c[0], 4, 4)), *sum(up, []), last, nn.Tanh()
    )
    pairs = [(1, c[4]), (c[4], c[3]), (c[3], c[2])]
    down = [level(nn.Conv2d(i, o, 4, 2, 1), o) for i, o in pairs]
    return generator, nn.Sequential(*sum(down, []), nn.Flatten()), nn.Linear(16 * c[2], 1)


def copy_weights(nets: Nets, weights: Weights) -> None:
    """Gives the networks the weights of semad's, so that both search the same objective.

    A kernel (h, w, in, out) of semad is (out, in, h, w) here, that of a transposed convolution
    (in, out, h, w) and turned by half; the first layer's units are ordered (h, w, c) there and
    (c, h, w) here.
    """
    generator, tower, _ = nets
    with torch.no_grad():
        _copy(generator, weights.params["generator"], weights.batch_stats["generator"])
        inner = weights.params["discriminator"]["ConvTower_0"]
        _copy(tower, inner, weights.batch_stats["discriminator"]["ConvTower_0"])


def _copy(net: nn.Sequential, params: dict[str, Any], batch_stats: dict[str, Any]) -> None:
    convolutions = norms = 0
    for layer in net:
        if isinstance(layer, nn.Linear):
            layer.weight.copy_(_units(params["Dense_0"]["kernel"]).T)
            layer.bias.copy_(_units(params["Dense_0"]["bias"]))
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            one = params[f"Conv_{convolutions}"]
            kernel = np.asarray(one["kernel"])
            if isinstance(layer, nn.ConvTranspose2d):
                layer.weight.copy_(_same(kernel[::-1, ::-1].transpose(2, 3, 0, 1)))
            else:
                layer.weight.copy_(_same(kernel.transpose(3, 2, 0, 1)))
            layer.bias.copy_(_same(one["bias"]))
            convolutions += 1
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            name = f"BatchNorm_{norms}"
            order = _units if isinstance(layer, nn.BatchNorm1d) else _same
            layer.weight.copy_(order(params[name]["scale"]))
            layer.bias.copy_(order(params[name]["bias"]))
            layer.running_mean.copy_(order(batch_stats[name]["mean"]))
            layer.running_var.copy_(order(batch_stats[name]["var"]))
            norms += 1


def _same(values: Any) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values).copy())


def _units(values: Any) -> torch.Tensor:
    """Units (..., 4·4·c) from the order (h, w, c) to (c, h, w)."""
    values = np.asarray(values)
    parts = values.reshape(*values.shape[:-1], 4, 4, -1)
    return torch.from_numpy(np.moveaxis(parts, -1, -3).reshape(values.shape).copy())


def torch_search(
    nets: Nets, start: torch.Tensor, steps: int, weight: float = 0.1, lr: float = 1e-3
) -> Callable[[torch.Tensor], torch.Tensor]:
    """The published search of some images at once; one image is the loop of public AnoGAN code.

    Returns:
      images (N, 1, 32, 32) -> the objective at the last step, (N,).
    """
    generator, tower, _ = (net.eval().requires_grad_(False) for net in nets)

    def run(images: torch.Tensor) -> torch.Tensor:
        z = start.repeat(len(images), 1).requires_grad_(True)
        optimizer = torch.optim.Adam([z], lr)
        wanted = tower(images)

        def objective() -> torch.Tensor:
            generated = generator(z)
            residual = (images - generated).abs().flatten(1).sum(1)
            return (1 - weight) * residual + weight * (wanted - tower(generated)).abs().sum(1)

        for _ in range(steps):
            optimizer.zero_grad()
            objective().sum().backward()
            optimizer.step()
        with torch.no_grad():
            return objective()

    return run


def torch_train_step(width: float, latent: int, batch: int = 64) -> Callable[[], None]:
    """The usual step of a GAN: one generated batch for both updates, weights of D frozen for G's.

    Returns:
      A call that moves D, G and the average of their weights once.
    """
    generator, tower, last = torch_nets(width, latent)
    judge = nn.Sequential(tower, last)
    average = [p.detach().clone() for net in (generator, judge) for p in net.parameters()]
    optimizers = [
        torch.optim.Adam(net.parameters(), betas=(0.5, 0.999)) for net in (judge, generator)
    ]
    images, one, zero = torch.rand(batch, 1, 32, 32), torch.ones(batch, 1), torch.zeros(batch, 1)
    cross_entropy = functional.binary_cross_entropy_with_logits

    def run() -> None:
        generated = generator(torch.randn(batch, latent))
        optimizers[0].zero_grad()
        real = cross_entropy(judge(images), one)
        (real + cross_entropy(judge(generated.detach()), zero)).backward()
        optimizers[0].step()
        optimizers[1].zero_grad()
        judge.requires_grad_(False)
        cross_entropy(judge(generated), one).backward()
        judge.requires_grad_(True)
        optimizers[1].step()
        with torch.no_grad():
            new = [p for net in (generator, judge) for p in net.parameters()]
            torch._foreach_lerp_(average, new, 0.001)

    return run
