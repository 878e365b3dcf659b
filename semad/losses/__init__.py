"""Pure functions that losses and scores are made of: `pixel`, `ssim` and `adversarial`.

The terms of `pixel`, one value per example, are importable from here.
"""

from semad.losses.pixel import (
    RESIDUALS,
    Residual,
    cross_entropy,
    mean_absolute,
    mean_square,
    norm,
    safe_sqrt,
    sample_latent,
    sum_absolute,
)

__all__ = [
    "RESIDUALS",
    "Residual",
    "cross_entropy",
    "mean_absolute",
    "mean_square",
    "norm",
    "safe_sqrt",
    "sample_latent",
    "sum_absolute",
]
