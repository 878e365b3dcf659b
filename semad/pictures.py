"""Micrographs as pictures, with defects marked: pixels by Pillow, without axes or margins."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

_OUTLINE = (255, 120, 0)
_EDGE = 2
"""Pixels of an outline's width."""
_BAND = 2**22
"""Pixels that are drawn at once, so that a large image needs little more than its picture."""


def grey_levels(image: np.ndarray) -> np.ndarray:
    """An image (H, W, C) of integers, whose whole range is 0 to 255 here: float32 (H, W)."""
    return image.mean(axis=2, dtype=np.float32) * np.float32(255 / np.iinfo(image.dtype).max)


def overlay(path: Path, image: np.ndarray, mask: np.ndarray, flagged: np.ndarray) -> None:
    """A micrograph with defects marked: green found, red false alarm, blue missed.

    Args:
      path: of the PNG.
      image: (H, W, C), uint8 or uint16.
      mask: bool (H, W), what is anomalous.
      flagged: bool (H, W), what exceeds the threshold.
    """
    picture = np.repeat(grey_levels(image)[..., None], 3, axis=2).astype(np.float32)
    # Red, green and blue, in this order.
    for channel, where in enumerate((flagged & ~mask, flagged & mask, mask & ~flagged)):
        picture[where] *= 0.6
        picture[where, channel] += 0.4 * 255
    Image.fromarray(picture.round().astype(np.uint8)).save(path)


def grey_picture(image: np.ndarray) -> Image.Image:
    """A micrograph as 8-bit grey, from its darkest to its brightest value.

    Args:
      image: (H, W, C), uint8 or uint16.
    """
    height, width = image.shape[:2]
    bands = _bands(height, width)
    ends = [(grey.min(), grey.max()) for grey in (_mean(image[band]) for band in bands)]
    low, high = (float(end(pair[i] for pair in ends)) for i, end in enumerate((min, max)))
    shown = Image.new("L", (width, height))
    for band in bands:
        grey = (_mean(image[band]) - low) * (255 / max(high - low, 1))
        shown.paste(Image.fromarray(grey.astype(np.uint8)), (0, band.start))
    return shown


def outline(
    grey: Image.Image, mask: np.ndarray, boxes: Sequence[tuple[int, int, int, int]]
) -> Image.Image:
    """A micrograph with its defects outlined and numbered, RGB.

    Args:
      grey: see `grey_picture`.
      mask: bool (H, W), the defects.
      boxes: top, left, bottom, right of each, in the order of their numbers.
    """
    shown = grey.convert("RGB")
    for band in _bands(*mask.shape):
        edge = Image.fromarray(_edge(mask, band))
        shown.paste(_OUTLINE, (0, band.start), edge)
    draw = ImageDraw.Draw(shown)
    for number, (top, left, _, _) in enumerate(boxes, 1):
        draw.text((left, max(0, top - 12)), str(number), fill=_OUTLINE, stroke_width=1)
    return shown


def _bands(height: int, width: int) -> list[slice]:
    rows = max(1, _BAND // width)
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]


def _mean(image: np.ndarray) -> np.ndarray:
    return image.mean(axis=2, dtype=np.float32)


def _edge(mask: np.ndarray, band: slice) -> np.ndarray:
    """The outermost two pixels of the regions of a mask (H, W), in a band of its rows."""
    above = min(_EDGE, band.start)
    part = mask[band.start - above : band.stop + _EDGE]
    eroded = ndimage.binary_erosion(part, np.ones((3, 3), bool), _EDGE)
    return (part & ~eroded)[above : above + band.stop - band.start]
