"""From a map to an image's score, to outlined defects, to their measures."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage import measure

from semad.scoring.thresholds import Thresholds

TOUCHING = np.ones((3, 3), bool)
"""Pixels that touch at a corner belong to one defect."""

POOLINGS = ("max", "mean")
"""How a map becomes an image's score."""


class Region(NamedTuple):
    """A connected defect.

    Attributes:
      box: top, left, bottom, right in pixels; the last two are just outside.
      centroid: row and column in pixels.
      area: in pixels.
      peak: the highest score inside.
    """

    box: tuple[int, int, int, int]
    centroid: tuple[float, float]
    area: int
    peak: float


def image_score(values: np.ndarray, pooling: str, min_area: int) -> float:
    """The score of an image from its map (H, W).

    `max`: the highest level that a connected region of `min_area` pixels reaches as a whole (the
    maximum of the map's area opening, Vincent 1993), so that no noisy pixel speaks for an image.
    `mean`: of all pixels; for images that are one item each.
    """
    if pooling == "mean":
        return float(values.mean(dtype=np.float64))
    if min_area >= values.size:
        return float(values.min())
    levels = np.unique(values)
    low, high = 0, len(levels) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if _large(values >= levels[middle], min_area).any():
            low = middle
        else:
            high = middle - 1
    return float(levels[low])


def _large(mask: np.ndarray, min_area: int) -> np.ndarray:
    """The mask without its connected regions of fewer than `min_area` pixels."""
    labels, _ = ndimage.label(mask, TOUCHING)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0  # the background is no region
    return (sizes >= max(1, min_area))[labels]


def segment(
    values: np.ndarray, score: float, thresholds: Thresholds, pooling: str, min_area: int
) -> np.ndarray:
    """The defects of an image: bool (H, W), none where its score is not above the threshold.

    With `max`, a defect has a core of `min_area` connected pixels above the image's threshold, and
    reaches as far as its pixels stay above the pixels' threshold (hysteresis, Canny 1986). With
    `mean`, every region of `min_area` pixels above the pixels' threshold is one.

    Args:
      values: map (H, W).
      score: of the image, see `image_score`.
      thresholds, pooling, min_area: as for calibration.
    """
    if score <= thresholds.image:
        return np.zeros(values.shape, bool)
    if pooling == "mean":
        return _large(values > thresholds.pixel, min_area)
    core = _large(values > thresholds.image, min_area)
    reach = values > min(thresholds)
    labels, _ = ndimage.label(reach, TOUCHING)
    return reach & np.isin(labels, np.unique(labels[core]))


def regions(values: np.ndarray, mask: np.ndarray) -> list[Region]:
    """The connected defects of a mask (H, W), the highest peak first."""
    defects = []
    for properties in measure.regionprops(measure.label(mask, connectivity=2), values):
        top, left, bottom, right = (int(side) for side in properties.bbox)
        area, peak = int(properties.area), float(properties.intensity_max)
        defects.append(Region((top, left, bottom, right), properties.centroid, area, peak))
    return sorted(defects, key=lambda region: -region.peak)
