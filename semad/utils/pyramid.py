"""Image pyramids: an image, and the same at a half, a quarter … of its size."""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage
from skimage.measure import block_reduce


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
    return np.rint(block_reduce(even, (2, 2, 1), np.mean)).astype(image.dtype)


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
    needed = values[: -(-shape[0] // scale), : -(-shape[1] // scale)]
    large = ndimage.zoom(needed, scale, order=1, mode="nearest", grid_mode=True)
    return large[: shape[0], : shape[1]]
