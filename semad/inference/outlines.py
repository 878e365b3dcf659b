"""Outlines of defects as polygons."""

import numpy as np
from skimage.measure import find_contours

Contour = np.ndarray
"""float (N, 2): x and y of the corners, pixels from the image's upper left corner; not closed."""


def contours(mask: np.ndarray, top: int, left: int) -> list[Contour]:
    """The outer outline of a connected region, then those of its holes.

    They run midway between the centres of pixels inside and outside, so that exactly the pixels
    whose centre lies inside by the even-odd rule are those of the region.

    Args:
      mask: bool (h, w), the region in its box.
      top, left: the box's place in the image.
    """
    padded = np.pad(mask, 1).astype(np.float32)
    closed = find_contours(padded, 0.5, fully_connected="high")
    # A pixel's centre is at its index for scikit-image, and half a pixel further here.
    outlines = [_corners(line[:-1, ::-1] + (left - 0.5, top - 0.5)) for line in closed]
    return sorted(outlines, key=lambda outline: -float(np.ptp(outline, axis=0).prod()))


def _corners(points: Contour) -> Contour:
    """Without the points that lie on a straight line between their neighbours."""
    before, after = points - np.roll(points, 1, 0), np.roll(points, -1, 0) - points
    turns = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    return points[turns != 0]
