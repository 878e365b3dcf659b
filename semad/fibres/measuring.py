"""Measuring the fibres of one micrograph."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from semad.errors import UserError
from semad.fibres.edges import find_edges
from semad.fibres.lines import Lines, find_lines
from semad.fibres.pores import pore_mask, pore_sizes
from semad.fibres.sections import find_sections
from semad.fibres.tally import Distribution, Summary, Tally, summarise, tally

_MARGIN = 3
"""Pixels around a defect, at least, that are left out; otherwise half a fibre's diameter."""
_COVERED = 0.08
"""The least share of an image that measured pieces of fibres cover."""
_ELONGATED = 1.9
"""The least length of pieces of fibres, in diameters: the median, by length."""
_FEWEST = 100
"""Pixels of centre line of which a distribution can be told."""


class Measurement(NamedTuple):
    """The fibres of an image.

    Attributes:
      lines: samples along the centre lines, one per pixel of length.
      reason: why the image is not fibrous, "" when it is; then the summaries are to be used.
      counts: of the whole image.
      clean_counts: of the image without defects and a margin around them.
      left_out: bool (H, W), True in defects and their margin.
      nm_per_pixel: the scale, None where it is not known.
    """

    lines: Lines
    reason: str
    counts: Tally
    clean_counts: Tally
    left_out: np.ndarray
    nm_per_pixel: float | None

    @property
    def fibrous(self) -> bool:
        """Whether the image shows fibres."""
        return not self.reason

    @property
    def whole(self) -> Summary | None:
        """Of the whole image, defects included; None for an image that is not fibrous."""
        return summarise(self.counts) if self.fibrous else None

    @property
    def clean(self) -> Summary | None:
        """Of the image with defects left out; None for an image that is not fibrous."""
        return summarise(self.clean_counts) if self.fibrous else None

    @property
    def diameter_nm(self) -> Distribution | None:
        """Diameters without defects in nm; None without a scale or fibres."""
        if self.clean is None or self.nm_per_pixel is None:
            return None
        return self.clean.diameter.scaled(self.nm_per_pixel)

    @property
    def pore_nm(self) -> Distribution | None:
        """Pores' equivalent diameters without defects in nm; None without a scale or fibres."""
        if self.clean is None or self.nm_per_pixel is None:
            return None
        return self.clean.pore.scaled(self.nm_per_pixel)


def measure(
    image: np.ndarray, mask: np.ndarray | None = None, nm_per_pixel: float | None = None
) -> Measurement:
    """Measures the fibres of a micrograph.

    Fibres are brighter than what lies beside them, and 2 to 100 pixels wide.

    Args:
      image: (H, W) or (H, W, C), uint8 or uint16, or floating-point values in [0, 1].
      mask: bool (H, W), True in defects; None for none.
      nm_per_pixel: the scale, if known; results are in pixels all the same.

    Raises:
      UserError: for an array of another shape or kind, or a mask of another size.
    """
    grey = _grey(image)
    defects = np.zeros(grey.shape, bool) if mask is None else np.asarray(mask, bool)
    if defects.shape != grey.shape:
        raise UserError(
            f"the mask has shape {defects.shape} and the image {grey.shape}; give a mask of the "
            "image's height and width"
        )
    lines = find_lines(find_sections(find_edges(grey), grey.shape))
    reason = _why_not(lines, grey.size)
    left_out = _with_margin(defects, lines)
    pores = pore_mask(grey)
    everything = np.zeros(grey.shape, bool)
    counts, clean = (_count(lines, pores, ~area) for area in (everything, left_out))
    return Measurement(lines, reason, counts, clean, left_out, nm_per_pixel)


def _grey(image: np.ndarray) -> np.ndarray:
    """Float32 (H, W) from 0 to 1."""
    image = np.asarray(image)
    if image.ndim not in (2, 3) or min(image.shape, default=0) < 1 or min(image.shape[:2]) < 16:
        raise UserError(
            f"an image of shape {image.shape}; give (H, W) or (H, W, C), sides of 16 or more"
        )
    if image.dtype in (np.uint8, np.uint16):
        scale = float(np.iinfo(image.dtype).max)
    elif np.issubdtype(image.dtype, np.floating):
        scale = 1.0
    else:
        raise UserError(f"an image of {image.dtype}; give uint8, uint16 or floats in [0, 1]")
    grey = image.astype(np.float32) / np.float32(scale)
    return grey if grey.ndim == 2 else grey.mean(axis=2)


def _with_margin(defects: np.ndarray, lines: Lines) -> np.ndarray:
    """Defects and what lies close: fibres end there in shadows, and a mask is not exact."""
    if not defects.any():
        return defects
    half = float(np.median(lines.diameter)) / 2 if len(lines.y) else 0.0
    return ndimage.distance_transform_edt(~defects) <= max(_MARGIN, half)


def _count(lines: Lines, pores: np.ndarray, counted: np.ndarray) -> Tally:
    row, column = (np.rint(values).astype(int) for values in (lines.y, lines.x))
    there = lines.where(counted[row, column])
    inside = pores & counted
    return tally(
        diameters=there.diameter,
        angles=there.angle,
        pixels=int(counted.sum()),
        pore_pixels=int(inside.sum()),
        pores=pore_sizes(inside, counted),
    )


def _why_not(lines: Lines, pixels: int) -> str:
    """Why an image is not fibrous, or "": fibres are long pieces that cover much of it."""
    covered = float(lines.diameter.sum()) / pixels
    if len(lines.y) < _FEWEST or covered < _COVERED:
        return f"not fibrous: pieces of fibres cover {covered:.1%} of the image"
    length = np.bincount(lines.line)[lines.line] / lines.diameter
    if (elongated := float(np.median(length))) < _ELONGATED:
        return f"not fibrous: bright pieces are {elongated:.1f} times as long as wide"
    return ""
