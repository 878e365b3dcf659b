"""How noisy a picture is."""

import numpy as np
from scipy import ndimage

_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
"""The difference of two Laplacians, which flat and sloping surfaces do not move."""


def noise_deviation(grey: np.ndarray) -> float:
    """The standard deviation of the noise (Immerkær 1996), in the unit of the grey values.

    Args:
      grey: (H, W), floating point, of at least 3 pixels a side; edges and textures count as noise.
    """
    inside = ndimage.convolve(grey, _MASK)[1:-1, 1:-1]
    return float(np.abs(inside).mean() * np.sqrt(np.pi / 2) / 6)
