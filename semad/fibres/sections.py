"""Cross-sections of fibres: from an edge across what is brighter to the edge on the other side."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from semad.fibres.edges import Edges

THINNEST, THICKEST = 2.0, 100.0
"""Pixels of the diameters that are looked for."""
_STEP = 0.7
_OPPOSITE = 0.85
"""Cosine of the largest angle between two edges of a fibre."""
_EVEN = 0.3
"""The weaker edge of a cross-section has at least this share of the stronger one's gradient."""
_OBSTACLE = 0.45
"""An edge in between of this share of the gradient ends the cross-section."""
_STRONGER = 1.2
"""A farther edge counts instead of a nearer one where its gradient is so many times as large."""
_NEAR = 2.5
"""Pixels around an edge in which it sees itself."""


class Sections(NamedTuple):
    """Cross-sections, `(N,)` each.

    Attributes:
      y, x: the middle, pixels.
      down, right: the unit vector across the fibre.
      diameter: pixels.
    """

    y: np.ndarray
    x: np.ndarray
    down: np.ndarray
    right: np.ndarray
    diameter: np.ndarray


def find_sections(edges: Edges, shape: tuple[int, int]) -> Sections:
    """The cross-sections of what is brighter than both its sides.

    A fibre's rims may be brighter than its middle. So a weak edge is passed when a stronger one
    follows, unless there is a gap in between: an edge that rises again.

    Args:
      edges: of the image.
      shape: of the image, (H, W).
    """
    hit = _rays(edges, shape)
    p = np.nonzero(hit >= 0)[0]
    q = hit[p]
    down, right = edges.down[p] - edges.down[q], edges.right[p] - edges.right[q]
    length = np.hypot(down, right)
    down, right = down / length, right / length
    y, x = edges.y[q] - edges.y[p], edges.x[q] - edges.x[p]
    diameter = np.abs(y * down + x * right)
    square = (np.abs(y * right - x * down) < diameter / 2) & (diameter > THINNEST)
    middle_y, middle_x = (edges.y[p] + edges.y[q]) / 2, (edges.x[p] + edges.x[q]) / 2
    values = (
        middle_y,
        middle_x,
        down,
        right,
        _without_blur(diameter, (edges.blur[p] + edges.blur[q]) / 2),
    )
    return Sections(*(value[square] for value in values))


def _without_blur(apart: np.ndarray, blur: np.ndarray) -> np.ndarray:
    """Widths of bars whose steepest points are `apart`, by the Gaussian's variance `blur`.

    Where x is half the distance and a half the width, they obey a = x·tanh(x·a / blur).
    """
    x = apart / 2
    a = x.copy()
    for _ in range(20):
        a = x * np.tanh(x * a / blur)
    return 2 * np.maximum(a, x / 2)


def _rays(edges: Edges, shape: tuple[int, int]) -> np.ndarray:
    """For every edge the number of the edge opposite, or -1, `(N,)`."""
    number = _numbers(edges, shape)
    count, strength = len(edges.row), edges.strength
    going, hit = np.arange(count), np.full(count, -1)
    best, rising = np.zeros_like(strength), np.zeros_like(strength)
    for far in np.arange(THINNEST, min(THICKEST, min(shape) / 2), _STEP):
        row = np.rint(edges.y[going] + far * edges.down[going]).astype(int)
        column = np.rint(edges.x[going] + far * edges.right[going]).astype(int)
        inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
        going, met = going[inside], number[row[inside], column[inside]]
        there = met >= 0
        cosine = edges.down[going] * edges.down[met] + edges.right[going] * edges.right[met]
        weaker = np.minimum(strength[going], strength[met])
        new = there & (cosine < -_OPPOSITE) & (strength[met] > _STRONGER * best[going])
        new &= weaker > _EVEN * np.maximum(strength[going], strength[met])
        new &= rising[going] < _OBSTACLE * weaker
        hit[going[new]], best[going[new]] = met[new], strength[met[new]]
        same = there & (cosine > _OPPOSITE) & (far > _NEAR)
        rising[going[same]] = np.maximum(rising[going[same]], strength[met[same]])
        ends = there & (np.abs(cosine) <= _OPPOSITE) & (far > _NEAR)
        ends &= strength[met] > _OBSTACLE * strength[going]
        going = going[~(ends | (rising[going] > strength[going]))]
        if not len(going):
            break
    return hit


def _numbers(edges: Edges, shape: tuple[int, int]) -> np.ndarray:
    """The number of the edge at or beside each pixel, so that no ray slips through a diagonal."""
    number = np.full(shape, -1, np.int32)
    number[edges.row, edges.column] = np.arange(len(edges.row))
    cross = ndimage.generate_binary_structure(2, 1)
    return np.where(number >= 0, number, ndimage.grey_dilation(number, footprint=cross))
