"""A picture of what was measured, so that a person can judge it."""

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw

from semad.fibres.measuring import Measurement

_SHADE = 0.6
"""Brightness of the image below the lines."""
_LEFT_OUT = np.array([150, 0, 60])
_LEGEND = 18
"""Rows below the image, with the colours of diameters."""


def picture(image: np.ndarray, measured: Measurement) -> Image.Image:
    """Centre lines over the image, coloured by diameter; what was left out is tinted.

    Args:
      image: (H, W) or (H, W, C), uint8 or uint16, which was measured.
      measured: its fibres.
    """
    grey = image if image.ndim == 2 else image.mean(axis=2)
    shade = grey.astype(np.float32) * (255 * _SHADE / np.iinfo(image.dtype).max)
    colours = np.repeat(shade[..., None], 3, axis=2)
    colours[measured.left_out] = (colours[measured.left_out] + _LEFT_OUT) / 2
    low, high = _range(measured.lines.diameter)
    turbo = colormaps["turbo"]
    rows, columns = (np.rint(v).astype(int) for v in (measured.lines.y, measured.lines.x))
    share = (measured.lines.diameter - low) / (high - low)
    line = turbo(np.clip(share, 0, 1))[:, :3] * 255
    height, width = grey.shape
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):  # two pixels wide
        colours[np.minimum(rows + down, height - 1), np.minimum(columns + right, width - 1)] = line
    bar = turbo(np.linspace(0, 1, width))[None, :, :3] * 255
    whole = np.concatenate([colours, np.repeat(bar, _LEGEND, axis=0)])
    drawn = Image.fromarray(whole.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(drawn)
    draw.text((4, height + 3), f"{low:.1f} px", fill="white")
    draw.text((width - 4, height + 3), f"{high:.1f} px", fill="white", anchor="ra")
    return drawn


def _range(diameters: np.ndarray) -> tuple[float, float]:
    """The colours' range: all but the outermost two per cent at either end."""
    if not len(diameters):
        return 0.0, 1.0
    low, high = np.percentile(diameters, [2, 98])
    return float(low), float(max(high, low + 0.1))
