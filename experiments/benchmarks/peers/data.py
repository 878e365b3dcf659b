"""Batches for the peers, cut and spliced in PyTorch as semad does it inside its step."""

import math

import torch
from torch.nn import functional

from .training import Batch

_SPOTS, _GRAINS = (21, 11, 6, 3), (32, 16, 8, 4, 2, 1)  # pixels; see `semad.synthetic.splices`
_BENDS, _PIECES = (32, 21, 11), (32, 16)  # see `semad.synthetic.cracks`


def crops(pixels: torch.Tensor, count: int, size: int, how: str) -> torch.Tensor:
    """Random crops, flipped at random and normalised.

    Args:
      pixels: images (N, 1, H, W), uint8.
      count: how many crops.
      size: of a crop.
      how: key of `semad.data.normalisation.NORMALISATIONS`.

    Returns:
      (count, 1, size, size).
    """
    numbers = torch.randint(len(pixels), (count,)).tolist()
    tops, lefts = (torch.randint(side - size + 1, (count,)).tolist() for side in pixels.shape[2:])
    cut = torch.stack(
        [
            pixels[number, :, top : top + size, left : left + size]
            for number, top, left in zip(numbers, tops, lefts, strict=True)
        ]
    ).float()
    cut = _flipped(_flipped(cut, 3), 2)
    if how == "range":
        return cut / 127.5 - 1
    variance, mean = torch.var_mean(cut, dim=(2, 3), correction=0, keepdim=True)
    return (cut - mean) / variance.sqrt().clamp(min=1 / size)


def spliced(images: torch.Tensor, varied: float, cracks: float) -> Batch:
    """Images with foreign parts, a third each from another image, of texture, and behind what is
    brighter; and their masks (N, H, W). Shares of them are varied before, and crack after."""
    count, _, size, _ = images.shape
    if varied:
        chosen = torch.rand(count, 1, 1, 1) < varied
        images = torch.where(chosen, _varied(images), images)
    masks = _masks(count, size)
    others = _flipped(_flipped(images.roll(1 + int(torch.randint(count - 1, ())), 0), 3), 2)
    first, second = round(count / 3), round(2 * count / 3)
    textures = _textures(images[first:])
    anomalies = torch.cat([_varied(others[:first]), textures])
    masks[second:] *= anomalies[second:, 0] > images[second:, 0]
    seen = torch.lerp(images, anomalies, masks[:, None])
    return _cracked(seen, masks, cracks) if cracks else (seen, masks)


def _cracked(images: torch.Tensor, masks: torch.Tensor, share: float) -> Batch:
    """Thin dark lines over a share of the images; see `semad.synthetic.cracks`."""
    count, _, size, _ = images.shape
    axes = (1, 2, 3)
    mean, spread = images.mean(axes, True), images.std(axes, correction=0, keepdim=True)
    depth, faint, cracked = torch.rand(3, count, 1, 1, 1)
    shown = mean - (0.5 + 2.5 * depth) * spread + 0.6 * faint * (images - mean)
    darker = torch.minimum(images, shown.clamp(-1, 1))
    apart = (images - darker > _noise_level(images)) & (cracked < share)
    lines = _lines(count, size)[:, None] * apart
    return torch.lerp(images, darker, lines), torch.maximum(masks, lines[:, 0])


def _lines(count: int, size: int) -> torch.Tensor:
    level, width = torch.rand(2, count, 1, 1)
    values = _fields(count, size, _BENDS) + 1 - 2 * level
    down, across = torch.gradient(values, dim=(1, 2))
    distance = values.abs() / torch.hypot(down, across).clamp(min=1e-3)
    half = 0.4 * (2.5 / 0.4) ** width
    pieces = (0.5 + 4 * (_fields(count, size, _PIECES) + 0.3)).clamp(0, 1)
    return (0.5 + half - distance).clamp(0, 1) * pieces


def _flipped(images: torch.Tensor, axis: int) -> torch.Tensor:
    chosen = torch.rand(len(images), 1, 1, 1) < 0.5
    return torch.where(chosen, images.flip(axis), images)


def _fields(count: int, size: int, grains: tuple[int, ...]) -> torch.Tensor:
    """Smooth random fields, each of one grain and of variance 1: (count, size, size)."""
    pick = torch.randint(len(grains), (count,))
    fields = torch.empty(count, size, size)
    for number, grain in enumerate(grains):
        places = (pick == number).nonzero()[:, 0]
        side = math.ceil(size / grain) + 1
        coarse = torch.randn(len(places), 1, side, side)
        fine = functional.interpolate(coarse, (size, size), mode="bicubic")[:, 0]
        spread = fine.std(dim=(1, 2), correction=0, keepdim=True)
        fields[places] = fine / spread.clamp(min=1e-3)
    return fields


def _masks(count: int, size: int) -> torch.Tensor:
    cover, steepness, clean = torch.rand(3, count, 1, 1)
    threshold = torch.special.ndtri(1 - (0.02 + 0.48 * cover))
    edges = torch.exp(1 + 3 * steepness) * (_fields(count, size, _SPOTS) - threshold)
    return (0.5 + edges).clamp(0, 1) * (clean >= 0.25)


def _varied(images: torch.Tensor) -> torch.Tensor:
    gain, shift = torch.rand(2, len(images), 1, 1, 1)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (mean + (0.7 + 0.6 * gain) * (images - mean) + 0.3 * shift - 0.15).clamp(-1, 1)


def _textures(images: torch.Tensor) -> torch.Tensor:
    count, _, size, _ = images.shape
    places = torch.randint(size * size, (count, 1))
    grey = images.flatten(1).gather(1, places)[:, :, None, None]
    contrast, share = torch.rand(2, count, 1, 1, 1)
    rough = contrast * images.std(dim=(1, 2, 3), correction=0, keepdim=True)
    noise = 1.2 * share * _noise_level(images) * torch.randn_like(images)
    return (grey + rough * _fields(count, size, _GRAINS)[:, None] + noise).clamp(-1, 1)


def _noise_level(images: torch.Tensor) -> torch.Tensor:
    middle = 2 * images[:, :, 1:-1] - images[:, :, :-2] - images[:, :, 2:]
    both = 2 * middle[..., 1:-1] - middle[..., :-2] - middle[..., 2:]
    return math.sqrt(math.pi / 2) / 6 * both.abs().mean(dim=(1, 2, 3), keepdim=True)
