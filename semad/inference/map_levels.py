"""Maps as the report holds them: a byte per pixel, exact at every setting of its sliders.

A pixel is stored as the number of levels that it exceeds. Every threshold that the sliders can be
set to is a level, so that the page compares as `semad.scoring.regions.segment` does; the other
levels are there for colours and for the number under the pointer.
"""

from typing import Any, NamedTuple

import numpy as np

from semad.inference.detector import Detector
from semad.scoring.rate_curves import CONFORMAL, HIGHEST, Setting, with_setting

_MOST = 255
"""Levels, so that a pixel is a byte."""
_DOUBLED = 8
"""Times that the levels above all thresholds double their distance from the lowest."""
_BAND = 2**20
"""Pixels that are compared at once: the comparison takes eight bytes of each."""


class Sliders(NamedTuple):
    """What the report's sliders can be set to.

    Attributes:
      image: settings of images' scores.
      cores: of each, the level of a defect's core; None where no level of the map makes a score.
      pixel: settings of how far outlines reach.
      start: the places of the detector's settings in `image` and in `pixel`.
      levels: float32, rising, at most 255.
      colours: ends of the scale of colours.
    """

    image: tuple[Setting, ...]
    cores: tuple[float | None, ...]
    pixel: tuple[Setting, ...]
    start: tuple[int, int]
    levels: np.ndarray
    colours: tuple[float, float]


def sliders_of(detector: Detector) -> Sliders:
    """The sliders of a detector, with its thresholds among their settings."""
    limits, record, curves = detector.thresholds_, detector.calibration_, detector.curves_
    promised = record["rule"] != HIGHEST
    used = Setting(limits.image, record["rate"] if promised else None, record["rule"])
    reach = Setting(limits.pixel, record["pixel_rate"], CONFORMAL)
    image, pixel = with_setting(curves.image, used), with_setting(curves.pixel, reach)
    cores = tuple(
        limits.core if setting is used else detector.scorer_.core(setting.threshold)
        for setting in image
    )
    needed = [core for core in cores if core is not None] + [s.threshold for s in pixel]
    low, middle = min(needed), limits.pixel if limits.core is None else limits.core
    high = low + 2 * (middle - low) if middle > low else low + 1
    start = image.index(used), pixel.index(reach)
    return Sliders(image, cores, pixel, start, _levels(needed, high), (low, high))


def _levels(needed: list[float], high: float) -> np.ndarray:
    """The needed levels, and more between and above them: float32, rising."""
    exact = np.unique(np.array(needed, np.float32))
    low, top = float(exact[0]), max(float(exact[-1]), high)
    more = _MOST - len(exact)
    linear = np.linspace(low, top, 1 + more // 2)
    span = (top - low) or 1.0
    above = low + span * np.geomspace(1, 2**_DOUBLED, 1 + more - more // 2)[1:]
    filled = np.concatenate([exact, linear[1:-1], above]).astype(np.float32)
    return np.unique(filled)


def to_bytes(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """How many levels each pixel of a map (H, W) exceeds: uint8 (H, W)."""
    counts = np.empty(values.shape, np.uint8)
    rows = max(1, _BAND // values.shape[1])
    for top in range(0, len(values), rows):
        counts[top : top + rows] = np.searchsorted(levels, values[top : top + rows])
    return counts


def reduce(counts: np.ndarray, factor: int) -> np.ndarray:
    """The highest of each block of `factor` by `factor` pixels; (H, W) to (⌈H/f⌉, ⌈W/f⌉)."""
    if factor == 1:
        return counts
    edges = [np.arange(0, size, factor) for size in counts.shape]
    return np.maximum.reduceat(np.maximum.reduceat(counts, edges[0], 0), edges[1], 1)


def as_values(sliders: Sliders) -> dict[str, Any]:
    """The sliders as the page reads them."""
    return {
        "image": [
            {**setting._asdict(), "core": core}
            for setting, core in zip(sliders.image, sliders.cores, strict=True)
        ],
        "pixel": [setting._asdict() for setting in sliders.pixel],
        "start": sliders.start,
        "levels": sliders.levels.tolist(),
        "colours": sliders.colours,
    }
