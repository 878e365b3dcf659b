"""Three scores that learn nothing. A method that does not clearly beat them detects nothing."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

BASELINES = ("brightness", "contrast", "local_minimum")

WINDOW = 15
"""Pixels of the local minimum filter."""


def baseline_scores(
    images: Sequence[np.ndarray], items: np.ndarray, patch_size: int
) -> dict[str, np.ndarray]:
    """Scores of patches by grey values alone.

    `brightness`: the mean; `contrast`: minus the standard deviation; `local_minimum`: a minimum
    filter of 15 pixels over the whole image, pooled over the patch by its maximum, since defects
    fill the dark holes between fibres.

    Args:
      images: (height, width, C) of uint8 or uint16.
      items: int32 (N, 3), rows of (image, top, left).
      patch_size: in pixels.

    Returns:
      name -> float64 (N,), in grey levels.
    """
    scores = {name: np.empty(len(items)) for name in BASELINES}
    for number in np.unique(items[:, 0]):
        rows = np.flatnonzero(items[:, 0] == number)
        grey = images[number].mean(axis=2)
        tiles = _tiles(grey, items[rows], patch_size)
        scores["brightness"][rows] = tiles.mean(axis=(1, 2))
        scores["contrast"][rows] = -tiles.std(axis=(1, 2))
        lowest = ndimage.minimum_filter(grey, WINDOW)
        scores["local_minimum"][rows] = _tiles(lowest, items[rows], patch_size).max(axis=(1, 2))
    return scores


def baseline_maps(image: np.ndarray) -> dict[str, np.ndarray]:
    """The same three at every pixel, of the 15×15 pixels around it: (H, W, C) -> name -> (H, W)."""
    grey = image.mean(axis=2)
    mean = ndimage.uniform_filter(grey, WINDOW)
    variance = ndimage.uniform_filter(np.square(grey), WINDOW) - np.square(mean)
    return {
        "brightness": mean,
        "contrast": -np.sqrt(np.maximum(variance, 0)),
        "local_minimum": ndimage.minimum_filter(grey, WINDOW),
    }


def _tiles(image: np.ndarray, items: np.ndarray, patch_size: int) -> np.ndarray:
    """The patches of one image (H, W) at items: (n, P, P)."""
    windows = np.lib.stride_tricks.sliding_window_view(image, (patch_size, patch_size))
    return windows[items[:, 1], items[:, 2]]
