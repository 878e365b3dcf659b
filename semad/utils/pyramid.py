"""Image pyramids: an image, and the same at a half, a quarter … of its size."""

from collections.abc import Iterator

import numpy as np
from PIL import Image


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
    planes = [np.asarray(_plane(values).reduce(2)) for values in np.moveaxis(even, -1, 0)]
    return np.rint(np.stack(planes, axis=-1)).astype(image.dtype)


def enlarge(values: np.ndarray, level: int, shape: tuple[int, int]) -> np.ndarray:
    """A map of a level in the size of the image, by linear interpolation: (H, W).

    Args:
      values: float32, of a level that `pyramid` gives.
      level: 0 for the image itself, whose map is returned as it is.
      shape: H and W.
    """
    if not level:
        return values
    scale = 2**level
    height, width = (-(-length // scale) for length in shape)
    needed = _plane(values[:height, :width])
    large = needed.resize((width * scale, height * scale), Image.Resampling.BILINEAR)
    return np.asarray(large)[: shape[0], : shape[1]]


def _plane(values: np.ndarray) -> Image.Image:
    """One channel (H, W), in floating point."""
    return Image.fromarray(np.ascontiguousarray(values, np.float32))
