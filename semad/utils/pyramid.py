"""Image pyramids: an image, and the same at a half, a quarter … of its size."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

_BAND = 1024
"""Rows that Pillow is given at once: it takes three times the memory of its result."""


def pyramid(image: np.ndarray, levels: int, least: int) -> Iterator[np.ndarray]:
    """The image (H, W, C), then each level of half the size of the one before.

    Args:
      image: uint8 or uint16.
      levels: how many; 1 is the image alone.
      least: pixels that a reduced image has in height and width at least; what it lacks is mirrored
        at its bottom and right.
    """
    yield image
    for _ in range(1, levels):
        image = halve(image)
        lacking = [(0, max(0, least - length)) for length in image.shape[:2]]
        yield np.pad(image, (*lacking, (0, 0)), mode="symmetric")


def halve(image: np.ndarray) -> np.ndarray:
    """Means of blocks of 2×2 pixels of an image (H, W, C), rounded: (⌈H/2⌉, ⌈W/2⌉, C)."""
    odd = [(0, length % 2) for length in image.shape[:2]]
    even = np.pad(image, (*odd, (0, 0)), mode="edge")
    bands = [_halve(even[top : top + _BAND]) for top in range(0, len(even), _BAND)]
    return np.concatenate(bands)


def _halve(even: np.ndarray) -> np.ndarray:
    planes = [np.asarray(_plane(values).reduce(2)) for values in np.moveaxis(even, -1, 0)]
    return np.rint(np.stack(planes, axis=-1)).astype(even.dtype)


def add_enlarged(total: np.ndarray, values: np.ndarray, level: int) -> None:
    """Adds a level's map to one of the image's size, in place, by linear interpolation.

    Args:
      total: float32 (H, W).
      values: float32, of a level that `pyramid` gives.
      level: from 1 on.
    """
    scale = 2**level
    height, width = (-(-length // scale) for length in total.shape)
    for top in range(0, height, _BAND // scale):
        bottom = min(top + _BAND // scale, height)
        # With the rows above and below, which count as well: so bands have no seams.
        above, below = max(top - 1, 0), min(bottom + 1, height)
        size, box = (width * scale, (bottom - top) * scale), (0, top - above, width, bottom - above)
        plane = _plane(values[above:below, :width])
        band = np.asarray(plane.resize(size, Image.Resampling.BILINEAR, box))
        rows = total[top * scale : bottom * scale]
        rows += band[: len(rows), : total.shape[1]]


def _plane(values: np.ndarray) -> Image.Image:
    """One channel (H, W), in floating point."""
    return Image.fromarray(np.ascontiguousarray(values, np.float32))
