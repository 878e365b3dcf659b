"""From a map to outlined defects, and to their measures.

Images of 200 megapixels pass here: beside the map there is room for a label per pixel, and for
little more. What needs more than that per pixel is done in bands of rows.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from semad.scoring.rle import encode
from semad.scoring.thresholds import Thresholds

TOUCHING = np.ones((3, 3), bool)
"""Pixels that touch at a corner belong to one defect."""

_BAND = 2**22
"""Pixels of a band."""


class Region(NamedTuple):
    """A connected defect.

    Attributes:
      box: top, left, bottom, right in pixels; the last two are just outside.
      centroid: row and column in pixels.
      area: in pixels.
      peak: the highest score inside.
      rle: its pixels, see `semad.scoring.rle`.
    """

    box: tuple[int, int, int, int]
    centroid: tuple[float, float]
    area: int
    peak: float
    rle: str


def area_level(values: np.ndarray, min_area: int) -> float:
    """The highest level that a connected region of `min_area` pixels of a map (H, W) reaches.

    As a whole, that is: the maximum of the map's area opening (Vincent 1993), so that no noisy
    pixel speaks for an image.
    """
    if min_area >= values.size:
        return float(values.min())
    low, high = values.min(), values.dtype.type(np.inf)  # the whole image reaches its minimum
    above = 0  # pixels from `high` on
    while len(levels := _levels_between(values, low, high)):
        # Few pixels make a score as a rule, so counts of pixels are halved on a logarithmic scale.
        rank = math.isqrt((above + 1) * (above + len(levels))) - above
        middle = np.partition(levels, -rank)[-rank]
        areas = _areas(*ndimage.label(values >= middle, TOUCHING))
        if areas.max() >= min_area:
            low = middle
        else:
            high, above = middle, int(areas.sum())
    return float(low)


def _levels_between(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """The pixels strictly between two levels, or evenly spread ones of them where they are many."""
    count = sum(int(np.count_nonzero((v > low) & (v < high))) for v in _bands(values))
    step = max(1, count // _BAND)
    return np.concatenate([v[(v > low) & (v < high)][::step].copy() for v in _bands(values)])


def _bands(values: np.ndarray) -> Iterator[np.ndarray]:
    """The rows of an array (H, W) in views of a bounded size."""
    rows = max(1, _BAND // values.shape[1])
    for top in range(0, len(values), rows):
        yield values[top : top + rows]


def _areas(labels: np.ndarray, count: int) -> np.ndarray:
    """Pixels of each label, int64 (count + 1,); none of 0, the background."""
    areas = np.zeros(count + 1, np.int64)
    for band in _bands(labels):
        areas += np.bincount(band.ravel(), minlength=count + 1)
    areas[0] = 0
    return areas


def _pick(labels: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The pixels of the wanted labels: bool (H, W); `wanted` has a bool per label."""
    mask = np.empty(labels.shape, bool)
    for part, band in zip(_bands(mask), _bands(labels), strict=True):
        part[...] = wanted[band]
    return mask


def _large(mask: np.ndarray, min_area: int) -> np.ndarray:
    """The mask without its connected regions of fewer than `min_area` pixels."""
    labels, count = ndimage.label(mask, TOUCHING)
    return _pick(labels, _areas(labels, count) >= max(1, min_area))


def segment(values: np.ndarray, score: float, thresholds: Thresholds, min_area: int) -> np.ndarray:
    """The defects of an image: bool (H, W), none where its score is not above the threshold.

    A defect has a core of `min_area` connected pixels above the cores' threshold, and reaches as
    far as its pixels stay above the pixels' threshold (hysteresis, Canny 1986). Where no core made
    the image's score, every region of `min_area` pixels above the pixels' threshold is a defect.

    Args:
      values: map (H, W).
      score: of the image, see `semad.scoring.image_scores`.
      thresholds, min_area: as for calibration.
    """
    if score <= thresholds.image:
        return np.zeros(values.shape, bool)
    level = np.inf if thresholds.core is None else thresholds.core
    core = _large(values > level, min_area)
    if not core.any():
        return _large(values > thresholds.pixel, min_area)
    return connected_to(values > min(level, thresholds.pixel), core)


def connected_to(mask: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """The connected regions of a mask that hold a seed; all are bool (H, W)."""
    labels, count = ndimage.label(mask, TOUCHING)
    wanted = np.zeros(count + 1, bool)
    for part, band in zip(_bands(seeds), _bands(labels), strict=True):
        wanted[band[part]] = True
    wanted[0] = False  # seeds outside of the mask
    return _pick(labels, wanted)


def regions(values: np.ndarray, mask: np.ndarray) -> list[Region]:
    """The connected defects of a mask (H, W), the highest peak first."""
    labels, count = ndimage.label(mask, TOUCHING)
    areas = _areas(labels, count)
    sums, peaks = np.zeros((2, count + 1)), np.full(count + 1, -np.inf)
    top = 0
    for band, part in zip(_bands(labels), _bands(values), strict=True):
        rows, columns = np.nonzero(band)
        numbers = band[rows, columns]
        for axis, places in enumerate((rows + top, columns)):
            sums[axis] += np.bincount(numbers, places, count + 1)
        np.maximum.at(peaks, numbers, part[rows, columns])
        top += len(band)
    defects = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        area = int(areas[number])
        box = rows.start, columns.start, rows.stop, columns.stop
        row, column = (sums[:, number] / area).tolist()
        rle = encode(labels[rows, columns] == number, *box[:2], *labels.shape)
        defects.append(Region(box, (row, column), area, float(peaks[number]), rle))
    return sorted(defects, key=lambda region: -region.peak)
