"""Centre lines: cross-sections that follow each other, at one sample per pixel of length."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from semad.fibres.sections import Sections

_REACH, _COSINE, _ALIKE = 2.0, 0.94, 0.2
"""Cross-sections follow each other within so many pixels, at such an angle, so alike in width."""
_FEWEST = 6
_SHORTEST = 1.0
"""Diameters of the length of a line; what is shorter is no fibre."""
_GAP = 1.5
"""Pixels to the nearest cross-section from which on a line has no sample."""
_RIM_REACH, _RIM_COSINE, _RIM_WIDTH = 6.0, 0.966, 0.6
"""A rim: so many diameters away from, so parallel to, so thin beside another line."""
_RIM_ASIDE, _RIM_DRIFT = 1.5, 0.05
"""Pixels by which a rim may lie outside, and by how many more for each pixel of distance."""


class Lines(NamedTuple):
    """Samples along centre lines, one per pixel of length, `(N,)` each.

    Attributes:
      y, x: the position, pixels.
      across: the angle of the direction across the fibre, radians, x right and y down.
      diameter: pixels.
      line: the number of the sample's line.
    """

    y: np.ndarray
    x: np.ndarray
    across: np.ndarray
    diameter: np.ndarray
    line: np.ndarray

    @property
    def angle(self) -> np.ndarray:
        """Of the fibre, degrees in [0, 180): 0 horizontal, 45 rising to the right."""
        return (90 - np.degrees(self.across)) % 180

    def where(self, mask: np.ndarray) -> "Lines":
        """The samples where a mask `(N,)` is True."""
        return Lines(*(values[mask] for values in self))


def find_lines(sections: Sections) -> Lines:
    """The centre lines of fibres."""
    if len(sections.y) < _FEWEST:
        none = np.zeros(0)
        return Lines(none, none, none, none, none.astype(int))
    count, label = _linked(sections)
    order = np.argsort(label, kind="stable")
    bounds = np.searchsorted(label[order], np.arange(count + 1))
    parts = [np.zeros((0, 5))]
    for number in np.nonzero(np.diff(bounds) >= _FEWEST)[0]:
        part = order[bounds[number] : bounds[number + 1]]
        parts.append(_sampled(Sections(*(values[part] for values in sections)), int(number)))
    y, x, across, diameter, line = np.concatenate(parts).T
    return _without_rims(Lines(y, x, across, diameter, line.astype(int)))


def _linked(sections: Sections) -> tuple[int, np.ndarray]:
    """How many lines there are, and the line of each cross-section."""
    tree = cKDTree(np.stack([sections.y, sections.x], axis=1))
    i, j = tree.query_pairs(_REACH, output_type="ndarray").T
    cosine = sections.down[i] * sections.down[j] + sections.right[i] * sections.right[j]
    first, second = sections.diameter[i], sections.diameter[j]
    # A third of a pixel is what the position of an edge is uncertain by.
    alike = np.abs(first - second) < _ALIKE * np.minimum(first, second) + 0.3
    linked = (np.abs(cosine) > _COSINE) & alike
    shape = (len(sections.y), len(sections.y))
    pairs = coo_matrix((np.ones(linked.sum(), bool), (i[linked], j[linked])), shape)
    count, label = connected_components(pairs, directed=False)
    return int(count), label


def _sampled(sections: Sections, number: int) -> np.ndarray:
    """Samples of one line, `(N, 5)`: means of positions and medians of diameters over a
    diameter's length; none if it is too short."""
    # Doubled angles, since a direction and its opposite are one.
    across = np.angle(np.mean((sections.right + 1j * sections.down) ** 2)) / 2
    cos, sin = np.cos(across), np.sin(across)
    along = sections.y * cos - sections.x * sin
    order = np.argsort(along)
    along, aside = along[order], (sections.x * cos + sections.y * sin)[order]
    diameter = sections.diameter[order]
    width = float(np.median(diameter))
    if along[-1] - along[0] < max(_SHORTEST * width, _FEWEST):
        return np.zeros((0, 5))
    at = np.arange(along[0] + 0.5, along[-1], 1.0)
    window = max(width, 4.0) / 2
    low, high = (np.searchsorted(along, at + side) for side in (-window, window))
    after = np.searchsorted(along, at)
    gap = np.minimum(along[after] - at, at - along[np.maximum(after - 1, 0)])
    kept = (high - low >= 3) & (gap < _GAP)
    at, low, high = at[kept], low[kept], high[kept]
    total = np.concatenate([[0.0], np.cumsum(aside)])
    middle = (total[high] - total[low]) / (high - low)
    medians = [np.median(diameter[i:j]) for i, j in zip(low, high, strict=True)]
    y, x = at * cos + middle * sin, middle * cos - at * sin
    same = np.ones(len(at))
    return np.stack([y, x, across * same, np.array(medians), number * same], axis=1)


def _without_rims(lines: Lines) -> Lines:
    """Leaves out thin lines that lie inside a thicker, parallel fibre, or where it goes on.

    The rims of a fibre are brighter than its middle, and so look like thin fibres.
    """
    if not len(lines.y):
        return lines
    thick = lines.where(np.arange(len(lines.y)) % 3 == 0)
    reach = _RIM_REACH * np.percentile(lines.diameter, 75)
    tree, other = (cKDTree(np.stack([part.y, part.x], axis=1)) for part in (lines, thick))
    near = tree.sparse_distance_matrix(other, reach, output_type="ndarray")
    near = near[lines.diameter[near["i"]] < _RIM_WIDTH * thick.diameter[near["j"]]]
    i, j = near["i"], near["j"]
    across = thick.across[j]
    aside = (lines.y[i] - thick.y[j]) * np.sin(across) + (lines.x[i] - thick.x[j]) * np.cos(across)
    outside = np.abs(aside) + (lines.diameter[i] - thick.diameter[j]) / 2
    rim = outside < _RIM_ASIDE + _RIM_DRIFT * near["v"]
    rim &= np.abs(np.cos(lines.across[i] - across)) > _RIM_COSINE
    bad = np.bincount(i[rim], minlength=len(lines.y)) > 0
    size = np.bincount(lines.line)
    share = np.bincount(lines.line, bad) / np.maximum(size, 1)
    return lines.where(share[lines.line] < 0.5)
