"""Frames that hold no picture: empty, flat or saturated."""

import numpy as np

from semad.data.samples import bands, to_channels

_FEWEST_LEVELS = 4
_LEVEL = 257  # of 16 bits, one of 8 bits
_ODD = 0.001  # share of pixels at either end that do not count: hot and dead ones
_BLACK, _WHITE = 0.95, 0.5
"""Shares from which on an image is called saturated; black may be what lies behind an object."""


def degenerate(pixels: np.ndarray) -> str | None:
    """Why an image is of no use, None for one that is.

    Flat is one of fewer than four grey values, or one whose values, but for a thousandth at either
    end, would all be the same or neighbours in 8 bits: all that is left then is the noise of
    quantisation. Micrographs of low contrast hold ten values and more. Saturated is one of which
    more than half is white or more than 95 % black.

    Args:
      pixels: (H, W, C) uint8 or uint16; of colour its grey counts.
    """
    size = int(np.iinfo(pixels.dtype).max) + 1
    counts = np.zeros(size, np.int64)
    for rows in bands(pixels):
        counts += np.bincount(to_channels(pixels[rows], 1).ravel(), minlength=size)
    levels = np.flatnonzero(counts)
    total = int(counts.sum())
    if len(levels) == 1:
        return f"empty: all pixels are {levels[0]}"
    if len(levels) < _FEWEST_LEVELS:
        return f"flat: it holds {len(levels)} grey values"
    cumulated = np.cumsum(counts)
    low, high = (
        int(np.searchsorted(cumulated, share * total, side="right")) for share in (_ODD, 1 - _ODD)
    )
    if min(high, size - 1) - low <= (1 if size == 256 else _LEVEL):
        return f"flat: nearly all pixels lie between {low} and {min(high, size - 1)}"
    for level, most in ((0, _BLACK), (size - 1, _WHITE)):
        share = counts[level] / total
        if share > most:
            return f"saturated: {share:.0%} of the pixels are {level}"
    return None
