"""How an image as a whole differs from the images that were trained on, by simple statistics.

Where most of an image lies above the pixels' threshold, it has no defect that could be outlined:
the image itself is unlike the training images, and the user should know in which way.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from skimage.measure import blur_effect

from semad.utils.noise import noise_deviation

WHOLE = 0.5
"""Share of an image's pixels above the threshold from which on the image as a whole is odd."""

_SIDE = 1024
"""Pixels of the middle of an image that noise, focus and scale are taken from."""


class Appearance(NamedTuple):
    """Statistics of an image.

    Attributes:
      brightness: the mean grey value, a share of white.
      contrast: the standard deviation, likewise.
      noise: the noise's standard deviation, likewise (Immerkær 1996).
      blur: 0 for sharp, 1 for blurred (Crété-Roffet et al. 2007).
      scale: the mean wavelength of what is seen, pixels.
    """

    brightness: float
    contrast: float
    noise: float
    blur: float
    scale: float


_WORDS = {
    "brightness": ("darker", "brighter", "mean grey value"),
    "contrast": ("lower in contrast", "higher in contrast", "deviation of grey values"),
    "noise": ("less noisy", "noisier", "deviation of the noise"),
    "blur": ("sharper", "more blurred", "blur"),
    "scale": ("of finer structure", "of coarser structure", "mean wavelength in pixels"),
}
"""What is said below and above the range of normal images, and what is measured."""


def appearance(image: np.ndarray) -> Appearance:
    """The statistics of an image (H, W, C), uint8 or uint16."""
    tops = [max(0, (size - _SIDE) // 2) for size in image.shape[:2]]
    middle = image[tops[0] : tops[0] + _SIDE, tops[1] : tops[1] + _SIDE]
    grey = middle.mean(axis=2, dtype=np.float64) / np.iinfo(image.dtype).max
    return Appearance(
        brightness=float(grey.mean()),
        contrast=float(grey.std()),
        noise=noise_deviation(grey),
        blur=float(blur_effect(grey)),
        scale=_wavelength(grey),
    )


def _wavelength(grey: np.ndarray) -> float:
    """The reciprocal of the mean frequency, weighted by amplitude."""
    amplitudes = np.abs(np.fft.rfft2(grey - grey.mean()))
    rows, columns = np.fft.fftfreq(grey.shape[0]), np.fft.rfftfreq(grey.shape[1])
    frequencies = np.hypot(rows[:, None], columns[None])
    total = float((amplitudes * frequencies).sum())
    # Of an image without contrast only rounding is left.
    return float(amplitudes.sum()) / total if total > 1e-6 else float(max(grey.shape))


def differences(image: np.ndarray, normal: Iterable[Appearance]) -> list[str]:
    """How an image lies outside the range of normal images, in words with figures.

    The range is that of the normal images, wider on both sides by half of itself and a twentieth of
    its middle, since few images do not show all that is normal.

    Args:
      image: (H, W, C), uint8 or uint16.
      normal: the statistics of normal images.
    """
    table = np.array(list(normal))
    said = []
    for value, values, name in zip(appearance(image), table.T, Appearance._fields, strict=True):
        low, high = float(values.min()), float(values.max())
        margin = (high - low) / 2 + abs(low + high) / 40
        if low - margin <= value <= high + margin:
            continue
        below, above, what = _WORDS[name]
        word = below if value < low else above
        said.append(f"{word} ({what} {value:.3g}, of normal images {low:.3g} to {high:.3g})")
    return said
