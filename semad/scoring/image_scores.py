"""The score of an image from its map: a speck speaks for it, or a large region, or either."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from semad.scoring.regions import area_level

TOP = 0.03
"""Of the pixels, in the pooling of that name (experiments/choose_pooling.py)."""

POOLINGS = ("max", "top", "mean", "several")
"""How a map becomes an image's score."""

_TOGETHER = ("max", "top")
"""The poolings of `several`."""

_ABOVE = 0.84
"""The quantile that lies a standard deviation above the median of a normal distribution."""


def pooled(values: np.ndarray, pooling: str, min_area: int) -> float:
    """The score of an image from its map (H, W).

    `max`: the highest level that a connected region of `min_area` pixels reaches as a whole.
    `top`: see `top_mean`; for large regions.
    `mean`: of all pixels; for images that are one item each.
    """
    if pooling == "max":
        return area_level(values, min_area)
    if pooling == "mean":
        return float(values.mean(dtype=np.float64))
    return top_mean(values, TOP)


def top_mean(values: np.ndarray, share: float) -> float:
    """The mean of the highest pixels of a map (H, W), as many as `share` in (0, 1] says."""
    count = max(1, round(share * values.size))
    return float(np.partition(values, -count, axis=None)[-count:].mean(dtype=np.float64))


class Scales(NamedTuple):
    """What makes the poolings of `several` comparable, from normal images.

    Attributes:
      location: the median of each pooling.
      scale: how far the 84th percentile lies above it; of few images see
        `semad.scoring.extrapolation`.
    """

    location: tuple[float, ...]
    scale: tuple[float, ...]


class ImageScorer(NamedTuple):
    """Turns maps into scores of images.

    Attributes:
      pooling: of `POOLINGS`.
      min_area: of `max`, in pixels.
      scales: of `several`; see `fitted`.
    """

    pooling: str
    min_area: int
    scales: Scales | None = None

    def __call__(self, values: np.ndarray) -> float:
        """The score of an image from its map (H, W); see `of_levels`."""
        return float(self.of_levels(levels_of([values], self.pooling, self.min_area))[0])

    def of_levels(self, levels: np.ndarray) -> np.ndarray:
        """Scores (images,) from what `levels_of` gives (images, poolings).

        `several` is the highest of its poolings, each in deviations above normal images' median.
        """
        if self.scales is None:
            return levels[:, 0]
        location, scale = (np.array(values) for values in self.scales)
        return ((levels - location) / scale).max(axis=1)

    def core(self, limit: float) -> float | None:
        """The level of `max` at which an image's score is `limit`; None if none is."""
        if self.scales is not None:
            return self.scales.location[0] + limit * self.scales.scale[0]
        return limit if self.pooling == "max" else None


def poolings_of(pooling: str) -> tuple[str, ...]:
    """Those of which a pooling consists: two of `several`, else itself."""
    return _TOGETHER if pooling == "several" else (pooling,)


def levels_of(maps: Sequence[np.ndarray], pooling: str, min_area: int) -> np.ndarray:
    """Maps (H, W), each by all that a pooling consists of: (images, poolings)."""
    poolings = poolings_of(pooling)
    return np.array([[pooled(values, how, min_area) for how in poolings] for values in maps])


def fitted(pooling: str, min_area: int, levels: np.ndarray) -> ImageScorer:
    """A scorer of images, with what it needs to know of normal ones.

    Args:
      pooling: of `POOLINGS`.
      min_area: of `max`, in pixels.
      levels: of normal images, by `levels_of`, (images, poolings).
    """
    return ImageScorer(pooling, min_area, scales_of(levels) if pooling == "several" else None)


def scales_of(levels: np.ndarray) -> Scales:
    """The scales of poolings, from the levels of normal images by each, (images, poolings)."""
    location = np.median(levels, axis=0)
    scale = np.quantile(levels, _ABOVE, axis=0) - location
    usable = np.where(scale > 0, scale, np.maximum(np.abs(location), 1e-6))
    return Scales(tuple(location.tolist()), tuple(usable.tolist()))
