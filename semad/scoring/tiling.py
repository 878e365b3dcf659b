"""How an image is tiled by the patches, or windows, that its map is blended of."""

from typing import NamedTuple

import numpy as np

from semad.scoring.batched import cut
from semad.types import CELL


def positions(size: int, patch_size: int, stride: int) -> np.ndarray:
    """Where patches start along an axis: every `stride` pixels, and once flush with the end.

    Raises:
      ValueError: for an axis shorter than a patch.
    """
    if size < patch_size:
        raise ValueError(f"an image of {size} pixels is smaller than a patch of {patch_size}")
    return np.unique(np.append(np.arange(0, size - patch_size + 1, stride), size - patch_size))


def ramp(patch_size: int) -> np.ndarray:
    """Hann's window without its zeros, along one axis: (P,)."""
    return np.sin(np.pi * (np.arange(patch_size) + 0.5) / patch_size) ** 2


def window(patch_size: int) -> np.ndarray:
    """The same for both axes: (P, P), the weight of a patch's values."""
    return np.outer(ramp(patch_size), ramp(patch_size)).astype(np.float32)


class MapTiling(NamedTuple):
    """How an image is tiled by what is scored at once.

    Attributes:
      patch_size: height and width of a patch, in pixels; an image may not be smaller.
      stride: pixels between patches; at most the patch size, or pixels would be left out.
      chunk: patches per call; bounds memory.
      window: of a convolutional system, the height and width of what is scored in place of
        patches, where the image is large enough; else 0.
      alternate: whether patches are mirrored before they are scored, and their maps after that:
        neighbours differently, so that a pixel is seen in all four mirror images for the work of
        one, where patches overlap.
      calls_at_once: how many calls run at the same time.
      levels: of the image's pyramid that are mapped; a map is the mean over them.
    """

    patch_size: int
    stride: int
    chunk: int
    window: int = 0
    alternate: bool = False
    calls_at_once: int = 1
    levels: int = 1

    def fit(self, height: int, width: int) -> "MapTiling":
        """The same for an image of this size: patches, or windows as patches."""
        if not self.window:
            return self
        size = max(self.patch_size, min(self.window, height, width) // CELL * CELL)
        chunk = max(1, self.chunk * self.patch_size**2 // size**2)
        return self._replace(patch_size=size, stride=size * 3 // 4, chunk=chunk, window=0)


class Patches(NamedTuple):
    """Those of an image that its map is blended of, sorted by their tops.

    Attributes:
      image: (H, W, C).
      size: height and width of a patch.
      corners: (N, 2), rows of (top, left).
      mirrored: bool (N, 2), whether a patch is mirrored upside down, and left to right.
    """

    image: np.ndarray
    size: int
    corners: np.ndarray
    mirrored: np.ndarray

    def cut(self, rows: slice) -> np.ndarray:
        """Some of the patches, as they are to be scored: (n, P, P, C)."""
        return mirror(cut(self.image, self.corners[rows], self.size), self.mirrored[rows])


def mirror(values: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Mirrors patches or their maps, (N, P, P, ...), each by a row of `mirrored`, (N, 2)."""
    for axis in (1, 2):
        rows = mirrored[:, axis - 1]
        if rows.any():
            values = values.copy()
            values[rows] = np.flip(values[rows], axis)
    return values


def lay(image: np.ndarray, tiling: MapTiling) -> Patches:
    """The patches of an image (H, W, C) by a tiling that was fitted to it.

    Raises:
      ValueError: for an image smaller than a patch, or a stride larger than one.
    """
    size, stride = tiling.patch_size, tiling.stride
    if stride > size:
        raise ValueError(f"a stride of {stride} leaves gaps between patches of {size}")
    starts = [positions(length, size, stride) for length in image.shape[:2]]
    turns = [np.arange(len(along)) % 2 * tiling.alternate for along in starts]
    return Patches(image, size, _grid(*starts), _grid(*turns).astype(bool))


def _grid(down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """All pairs, row by row: (N, 2)."""
    return np.stack(np.meshgrid(down, right, indexing="ij"), axis=-1).reshape(-1, 2)
