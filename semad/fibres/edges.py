"""Edges of a micrograph to a fraction of a pixel: where the grey value rises fastest."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from semad.utils.noise import noise_deviation

_FINEST, _COARSEST = 1.0, 2.0
"""Pixels of the Gaussian filter's σ: the least, and the most that noise may ask for."""
_NOISE = 4.0
"""An edge is so many standard deviations of the gradient of noise alone."""
_MARGIN = 3.0
"""How far strong edges lie above that."""
_CLEAR = 0.004
"""The least gradient of an edge, as a share of white per pixel: eight bits have steps of it."""
_ASIDE = 3.0
"""Pixels to both sides of an edge where its gradient must have fallen."""
_FALL = 0.3
"""By which share of itself; a mere slope stays."""
_MOST_BLUR = 9.0
"""Pixels² of the variance that is put down to blur."""


class Edges(NamedTuple):
    """Pixels with an edge, `(N,)` each.

    Attributes:
      row, column: the pixel.
      y, x: where the gradient is steepest near it, pixels.
      down, right: the unit vector along which the image gets brighter.
      strength: the gradient, a share of white per pixel.
      blur: the variance of the Gaussian that a step would have been blurred with to give the
        fall of the gradient on the dark side, pixels²; the filter's is part of it.
    """

    row: np.ndarray
    column: np.ndarray
    y: np.ndarray
    x: np.ndarray
    down: np.ndarray
    right: np.ndarray
    strength: np.ndarray
    blur: np.ndarray


def find_edges(grey: np.ndarray) -> Edges:
    """The edges of a picture (H, W), float32 from 0 to 1.

    The filter is as fine as noise allows: coarser where the strong edges would drown in it.
    """
    noise = noise_deviation(grey)
    sigma = _FINEST
    down, right, strength = _gradient(grey, sigma)
    strong = float(np.percentile(strength, 95))
    if (need := _MARGIN * _NOISE * _gradient_noise(noise, sigma)) > strong:
        sigma = min(_COARSEST, sigma * float(np.sqrt(need / max(strong, _CLEAR))))
        down, right, strength = _gradient(grey, sigma)
    least = max(_NOISE * _gradient_noise(noise, sigma), _CLEAR)
    return _steepest(down, right, strength, least, sigma)


def _gradient(grey: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    down = ndimage.gaussian_filter(grey, sigma, order=(1, 0), mode="nearest")
    right = ndimage.gaussian_filter(grey, sigma, order=(0, 1), mode="nearest")
    return down, right, np.hypot(down, right)


def _gradient_noise(noise: float, sigma: float) -> float:
    """The standard deviation that white noise has after a derivative of a Gaussian."""
    return float(noise / (np.sqrt(8 * np.pi) * sigma**2))


def _steepest(
    down: np.ndarray, right: np.ndarray, strength: np.ndarray, least: float, sigma: float
) -> Edges:
    """The pixels whose gradient is steeper than before and behind them, and falls to both sides."""
    row, column = np.nonzero(strength > least)
    here = strength[row, column]
    n_y, n_x = down[row, column] / here, right[row, column] / here
    before = _at(strength, row - n_y, column - n_x)
    behind = _at(strength, row + n_y, column + n_x)
    top = (here >= before) & (here > behind)
    row, column, here, n_y, n_x, before, behind = (
        values[top] for values in (row, column, here, n_y, n_x, before, behind)
    )
    aside = np.zeros_like(here)
    for step in (-_ASIDE, _ASIDE):
        y, x = row + step * n_y, column + step * n_x
        aside += (n_y * _at(down, y, x) + n_x * _at(right, y, x)) / 2
    falls = here - aside > np.maximum(0.75 * least, _FALL * here)
    row, column, here, n_y, n_x, before, behind = (
        values[falls] for values in (row, column, here, n_y, n_x, before, behind)
    )
    # The top of a parabola through three values.
    shift = np.clip((before - behind) / (2 * (before - 2 * here + behind)), -0.7, 0.7)
    y, x = row + shift * n_y, column + shift * n_x
    top_value, outside = _at(strength, y, x), _at(strength, y - n_y, x - n_x)
    fall = np.log(np.maximum(top_value / np.maximum(outside, 1e-6), 1.01))
    blur = np.clip(1 / (2 * fall), sigma**2, _MOST_BLUR)
    return Edges(row, column, y, x, n_y, n_x, here, blur)


def _at(values: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return ndimage.map_coordinates(values, [y, x], order=1, mode="nearest")
