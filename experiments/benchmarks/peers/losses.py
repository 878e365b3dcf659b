"""Losses that several peers share; `semad.losses` has what they equal."""

import torch
from torch.nn import functional

_cross_entropy = functional.binary_cross_entropy_with_logits


def pair_cross_entropy(on_real: torch.Tensor, on_generated: torch.Tensor) -> torch.Tensor:
    """The discriminator's loss on its logits: real ones are 1, generated ones 0."""
    real = _cross_entropy(on_real, torch.ones_like(on_real))
    return real + _cross_entropy(on_generated, torch.zeros_like(on_generated))


def generator_cross_entropy(logits: torch.Tensor) -> torch.Tensor:
    """The generator's loss on the discriminator's logits, which should be 1."""
    return _cross_entropy(logits, torch.ones_like(logits))


def distance(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """‖x − y‖₂ of each example: (N, ...) twice -> (N,)."""
    return torch.linalg.vector_norm((x - y).flatten(1), dim=1)


def pull_away(codes: torch.Tensor) -> torch.Tensor:
    """Mean squared cosine between different rows of (N, F)."""
    count = len(codes)
    directions = functional.normalize(codes, dim=1)
    cosines = (directions @ directions.T).square()
    return (cosines.sum() - cosines.diagonal().sum()) / (count * (count - 1))
