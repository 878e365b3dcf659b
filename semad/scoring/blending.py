"""Blends what is said of overlapping patches into a map of their image.

A pixel's score is the mean over the patches that cover it, weighted by a window that falls off
smoothly towards a patch's borders, where reconstructions are worst.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from semad.scoring.tiling import Patches, ramp, window

Maps = dict[str, np.ndarray]
"""Score name -> float32 (H, W), higher is more anomalous."""


class Blend:
    """The maps of an image, summed up patch by patch; one array of its size for each."""

    def __init__(self, patches: Patches) -> None:
        """Of no patch yet."""
        self._patches = patches
        self._weight = window(patches.size)
        self._sums: Maps = {}

    def add(self, first: int, values: Maps) -> None:
        """Adds what is said of some patches, as they were cut.

        Args:
          first: number of the first of them among the patches of the image.
          values: by the score's name float32 (n, P, P), or (n, 1, 1) where all pixels have the
            same.
        """
        image, size, corners, mirrored = self._patches
        for name, parts in values.items():
            if name not in self._sums:
                self._sums[name] = np.zeros(image.shape[:2], np.float32)
            rows = slice(first, first + len(parts))
            places = zip(
                parts, corners[rows].tolist(), (1 - 2 * mirrored[rows]).tolist(), strict=True
            )
            for part, (top, left), (down, right) in places:
                weighted = part[::down, ::right] * self._weight
                self._sums[name][top : top + size, left : left + size] += weighted

    def means(self) -> Maps:
        """The maps, once all patches have been added; to be called once, as sums become means."""
        image, size, corners, _ = self._patches
        # The patches are a grid, and their weights products: so are the sums of weights.
        of_rows, of_columns = (
            _covered(np.unique(corners[:, axis]), size, image.shape[axis]) for axis in (0, 1)
        )
        for values in self._sums.values():
            values /= of_rows[:, None]
            values /= of_columns
        return self._sums


def _covered(starts: np.ndarray, size: int, length: int) -> np.ndarray:
    """The sum of the weights of patches along an axis: float32 (length,)."""
    weights, weight = np.zeros(length), ramp(size)
    for start in starts:
        weights[start : start + size] += weight
    return weights.astype(np.float32)


def cut_patches(images: Sequence[Patches], rows: slice) -> np.ndarray:
    """Some of the patches of several images, which follow each other: (n, P, P, C)."""
    return np.concatenate([images[number].cut(inside) for number, inside in _parts(images, rows)])


def distribute(images: Sequence[Patches], rows: slice, values: Maps, blends: list[Blend]) -> None:
    """Adds what is said of such patches to the blends of their images."""
    start = 0
    for number, inside in _parts(images, rows):
        stop = start + inside.stop - inside.start
        blends[number].add(inside.start, {name: v[start:stop] for name, v in values.items()})
        start = stop


def _parts(images: Sequence[Patches], rows: slice) -> Iterator[tuple[int, slice]]:
    """The numbers of the images that have these rows, and the rows among their own."""
    before = 0
    for number, patches in enumerate(images):
        count = len(patches.corners)
        inside = slice(max(rows.start - before, 0), min(rows.stop - before, count))
        if inside.start < inside.stop:
            yield number, inside
        before += count
