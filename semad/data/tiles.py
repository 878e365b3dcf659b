"""Tiles of micrographs: which are anomalous, and seeded subsets of them."""

from collections.abc import Sequence

import numpy as np

TILE = 32
"""Height and width of the thesis' tiles, in pixels."""


def tile_labels(masks: Sequence[np.ndarray], items: np.ndarray, patch_size: int) -> np.ndarray:
    """Which tiles are anomalous: bool (N,).

    A tile of 32×32 is, with more than 20 anomalous pixels; of other sizes, with the same share.

    Args:
      masks: bool (H, W) per image, True where anomalous.
      items: int32 (N, 3), rows of (image, top, left).
      patch_size: of the tiles.
    """
    limit = 20 * (patch_size / TILE) ** 2
    counts = np.empty(len(items))
    for number, mask in enumerate(masks):
        rows = np.flatnonzero(items[:, 0] == number)
        # Summed-area table: a tile's count from its four corners.
        table = np.pad(mask.astype(np.int64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
        top, left = items[rows, 1], items[rows, 2]
        bottom, right = top + patch_size, left + patch_size
        counts[rows] = (
            table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]
        )
    return counts > limit


def subset(count: int, limit: int, seed: int) -> np.ndarray:
    """Positions of a seeded random subset, in order; all of them when the limit is 0."""
    if limit == 0 or limit >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, limit, replace=False))
