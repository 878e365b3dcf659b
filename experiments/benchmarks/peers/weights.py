"""semad's weights and images for the peers, whose images are turned by half (`peers.layers`)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from semad.types import Weights

from .layers import Linear, Pixels


def as_images(images: Any) -> torch.Tensor:
    """Images (N, H, W, C) of semad as (N, C, H, W), turned by half."""
    return _tensor(np.asarray(images)[:, ::-1, ::-1].transpose(0, 3, 1, 2))


def copy_weights(nets: Mapping[str, nn.Module], weights: Weights) -> None:
    """Gives networks the weights of semad's networks of the same names.

    Layers of a kind are matched in the order in which they are called.
    """
    with torch.no_grad():
        for name, net in nets.items():
            params, stats = weights.params[name], weights.batch_stats[name]
            convolutions, norms, dense = (
                _layers(params, kind) for kind in ("Conv", "BatchNorm", "Dense")
            )
            averages, singular = _layers(stats, "BatchNorm"), _layers(stats, "SpectralNorm")
            for layer in net.modules():
                if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                    _copy_convolution(layer, next(convolutions), singular)
                elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                    _copy_norm(layer, next(norms), next(averages))
                elif isinstance(layer, Linear):
                    _copy_linear(layer, next(dense))


def _layers(tree: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    """The layers of a kind; networks inside of others are called first in all of semad's."""
    inner = [name for name in tree if not re.match("(Conv|BatchNorm|Dense|SpectralNorm)_", name)]
    for name in inner:
        yield from _layers(tree[name], kind)
    names = [name for name in tree if name.startswith(f"{kind}_")]
    for name in sorted(names, key=lambda name: int(name.rpartition("_")[2])):
        yield tree[name]


def _copy_convolution(
    layer: nn.Conv2d | nn.ConvTranspose2d,
    params: Mapping[str, Any],
    singular: Iterator[Mapping[str, Any]],
) -> None:
    """A kernel (h, w, in, out); SAME's transposed convolution is turned already."""
    kernel = np.asarray(params["kernel"])
    if isinstance(layer, nn.ConvTranspose2d):
        layer.weight.copy_(_tensor(kernel.transpose(2, 3, 0, 1)))
    else:
        turned = _tensor(kernel[::-1, ::-1].transpose(3, 2, 0, 1))
        if hasattr(layer, "parametrizations"):
            parametrization = layer.parametrizations.weight
            parametrization.original.copy_(turned)
            (u,) = (value for name, value in next(singular).items() if name.endswith("/u"))
            parametrization[0]._u.copy_(_tensor(u)[0])
            product = turned.flatten(1).T @ parametrization[0]._u
            parametrization[0]._v.copy_(functional.normalize(product, dim=0))
        else:
            layer.weight.copy_(turned)
    layer.bias.copy_(_tensor(params["bias"]))


def _copy_norm(
    layer: nn.BatchNorm1d | nn.BatchNorm2d, params: Mapping[str, Any], stats: Mapping[str, Any]
) -> None:
    pixels = getattr(layer, "to_pixels", None)
    layer.weight.copy_(_tensor(_ordered(params["scale"], pixels)))
    layer.bias.copy_(_tensor(_ordered(params["bias"], pixels)))
    layer.running_mean.copy_(_tensor(_ordered(stats["mean"], pixels)))
    layer.running_var.copy_(_tensor(_ordered(stats["var"], pixels)))


def _copy_linear(layer: Linear, params: Mapping[str, Any]) -> None:
    kernel = _ordered(params["kernel"], layer.to_pixels)
    layer.weight.copy_(_tensor(_ordered(kernel.T, layer.of_pixels)))
    layer.bias.copy_(_tensor(_ordered(params["bias"], layer.to_pixels)))


def _ordered(values: Any, pixels: Pixels) -> np.ndarray:
    """Values (..., units) whose first units are pixels: from (h, w, c) to (c, h, w), turned."""
    values = np.asarray(values)
    if pixels is None:
        return values
    side, channels = pixels
    count = side * side * channels
    grid = np.arange(count).reshape(side, side, channels)[::-1, ::-1].transpose(2, 0, 1)
    return values[..., np.concatenate([grid.ravel(), np.arange(count, values.shape[-1])])]


def _tensor(values: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(values))
