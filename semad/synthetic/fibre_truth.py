"""What is true of the fibres that a drawn image shows, to compare a measurement with."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from semad.synthetic.fibres import NO_FIBRE, Canvas, Fibre, along_and_across

_UNSEEN = 1.0
"""Pixels of a fibre's edge that may be hidden: nobody would notice."""
_ACROSS = 9


class Truth(NamedTuple):
    """What an image shows of its fibres.

    The samples are pixels of the fibres' centre lines, bands one pixel wide: as many as the length
    has pixels, so that fibres count by their length.

    Attributes:
      diameters: of the fibre at each sample, pixels, `(N,)`.
      angles: of the fibre at each sample, degrees in [0, 180): 0 is horizontal, 45 rises to the
        right.
      porosity: the share of the pixels, those of defects left out, that show no fibre.
    """

    diameters: np.ndarray
    angles: np.ndarray
    porosity: float


def visible(canvas: Canvas, *, whole: bool = True) -> Truth:
    """What is true of an image's fibres, before the detector's blur and noise.

    Args:
      canvas: all of what was painted.
      whole: count a fibre where it is visible from edge to edge, as somebody measures it by hand;
        otherwise wherever its centre is.
    """
    samples = [_samples(canvas, number, whole) for number in range(len(canvas.fibres))]
    clean = canvas.defect <= 0.5
    return Truth(
        diameters=np.concatenate([diameters for diameters, _ in samples]),
        angles=np.concatenate([angles for _, angles in samples]),
        porosity=float((canvas.shown[clean] == NO_FIBRE).mean()),
    )


def _samples(canvas: Canvas, number: int, whole: bool) -> tuple[np.ndarray, np.ndarray]:
    """The diameters and angles of one fibre's samples."""
    fibre = canvas.fibres[number]
    along, across = along_and_across(fibre, len(canvas.image))
    y, x = np.nonzero((np.abs(across) < 0.5) & (canvas.shown == number))
    angles = _angles(fibre, along[y, x], len(canvas.image))
    seen = np.ones(len(y), bool)
    if whole:
        reach = max(fibre.half_width - _UNSEEN, 0.0)
        for step in np.linspace(-reach, reach, _ACROSS):
            at = [y + step * np.cos(np.radians(angles)), x + step * np.sin(np.radians(angles))]
            there = ndimage.map_coordinates(canvas.shown, at, order=0, mode="nearest")
            seen &= there == number
    return np.full(int(seen.sum()), 2 * fibre.half_width), angles[seen]


def _angles(fibre: Fibre, along: np.ndarray, size: int) -> np.ndarray:
    """Degrees of the tangent; rows count downwards, so a line that rises has a negative y."""
    slope = along * (2 * fibre.bend / size + 3 * fibre.twist / size**2 * along)
    c_x, c_y = fibre.direction
    return np.degrees(np.arctan2(-(c_y + slope * c_x), c_x - slope * c_y)) % 180
