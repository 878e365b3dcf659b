"""Counts of what was measured, which add up over images and go into records."""

from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

_PER_E = 100
"""Bins of a histogram of lengths per factor e: each is one per cent wide."""
_SMOOTH = 5.0
"""Bins of the σ with which a histogram is smoothed before its highest point is taken."""
ANGLE_BINS = 18


class Tally(NamedTuple):
    """What was counted in an image, or in several.

    Attributes:
      diameters: pixels of centre lines by the fibre's diameter, in bins of one per cent from 1 on.
      angles: the same by the fibre's direction, in bins of ten degrees from 0 on.
      axis: the sums of cos 2θ and sin 2θ over the same, θ the direction.
      pixels: of the area that was looked at.
      pore_pixels: those of it that show no fibre.
      pores: whole pores by their equivalent diameter, in bins of one per cent from 1 on.
    """

    diameters: list[int]
    angles: list[int]
    axis: list[float]
    pixels: int
    pore_pixels: int
    pores: list[int]


class Distribution(NamedTuple):
    """Of lengths, in pixels unless scaled; None where there is nothing to tell.

    Attributes:
      samples: how many there are.
      median, lower, upper: the median and the quartiles.
      mode: where the density is highest, after smoothing over five per cent.
    """

    samples: int
    median: float | None = None
    lower: float | None = None
    upper: float | None = None
    mode: float | None = None

    def scaled(self, scale: float) -> "Distribution":
        """The same in another unit, of which a pixel has `scale`."""
        lengths = (None if value is None else value * scale for value in self[1:])
        return Distribution(self.samples, *lengths)


class Summary(NamedTuple):
    """What a user is told.

    Attributes:
      diameter: of fibres, by length of centre line, pixels.
      direction: the mean axial direction, degrees in [0, 180): 0 is horizontal, 45 rises to the
        right; None without fibres.
      order: the two-dimensional nematic order parameter |⟨exp 2iθ⟩|: 0 for fibres in all
        directions alike, 1 for parallel ones; None without fibres.
      porosity: the share of the area that shows no fibre; None without an area.
      pore: equivalent diameters of pores, pixels.
    """

    diameter: Distribution
    direction: float | None
    order: float | None
    porosity: float | None
    pore: Distribution


def tally(
    diameters: np.ndarray, angles: np.ndarray, pixels: int, pore_pixels: int, pores: np.ndarray
) -> Tally:
    """Counts samples.

    Args:
      diameters: of fibres at samples of their centre lines, pixels, `(N,)`.
      angles: at the same, degrees in [0, 180).
      pixels, pore_pixels: see `Tally`.
      pores: equivalent diameters, pixels, `(M,)`.
    """
    double = np.exp(2j * np.radians(angles)).sum()
    bins = (angles // (180 / ANGLE_BINS)).astype(int) % ANGLE_BINS
    return Tally(
        diameters=_binned(diameters),
        angles=np.bincount(bins, minlength=ANGLE_BINS).tolist(),
        axis=[float(double.real), float(double.imag)],
        pixels=pixels,
        pore_pixels=pore_pixels,
        pores=_binned(pores),
    )


def add(tallies: list[Tally]) -> Tally:
    """The counts of several images together."""
    return Tally(*(_sum(list(values)) for values in zip(*tallies, strict=True)))


def summarise(counts: Tally) -> Summary:
    """What the counts say."""
    length = sum(counts.angles)
    axis = complex(*counts.axis)
    return Summary(
        diameter=distribution(counts.diameters),
        direction=float(np.degrees(np.angle(axis)) / 2 % 180) if length else None,
        order=abs(axis) / length if length else None,
        porosity=counts.pore_pixels / counts.pixels if counts.pixels else None,
        pore=distribution(counts.pores),
    )


def distribution(counts: list[int]) -> Distribution:
    """The median, the quartiles and the mode of a histogram with bins of one per cent."""
    if not sum(counts):
        return Distribution(0)
    limits = np.exp(np.arange(len(counts) + 1) / _PER_E)
    below = np.concatenate([[0], np.cumsum(counts)])
    lower, median, upper = (
        float(np.interp(share * below[-1], below, limits)) for share in (0.25, 0.5, 0.75)
    )
    padded = np.pad(np.array(counts, float), round(4 * _SMOOTH))
    density = ndimage.gaussian_filter1d(padded, _SMOOTH)[round(4 * _SMOOTH) :][: len(counts)]
    middle = np.sqrt(limits[1:] * limits[:-1])
    mode = float(middle[np.argmax(density / middle)])
    return Distribution(int(below[-1]), median, lower, upper, mode)


def _binned(lengths: np.ndarray) -> list[int]:
    logs = np.log(np.maximum(lengths, 1.0)) * _PER_E
    return [int(count) for count in np.bincount(logs.astype(int))]


def _sum(values: list[Any]) -> Any:
    if not isinstance(values[0], list):
        return sum(values)
    longest = max(len(value) for value in values)
    table = np.array([np.pad(value, (0, longest - len(value))) for value in values])
    return table.sum(axis=0).tolist()
