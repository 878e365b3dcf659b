"""From a file's samples to grey or RGB of the full range: the same step after every decoder.

It works in bands of rows, so that a large image is never copied into a wider type as a whole.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

_BAND = 2**20
"""Pixels that are converted at once."""

Kind = Literal["grey", "inverted", "rgb", "cmyk", "ycbcr"]

CHANNELS: dict[str, int] = {"grey": 1, "inverted": 1, "rgb": 3, "cmyk": 4, "ycbcr": 3}
"""Samples per pixel of each kind, alpha apart."""


class Unreadable(Exception):  # noqa: N818
    """Why a file is not read, in a few words; what reads the file adds its name and the advice."""

    def __init__(self, reason: str, advice: str = "replace the file or remove it") -> None:
        """`advice` is what the user can do about it."""
        super().__init__(reason)
        self.advice = advice


class YCbCr(NamedTuple):
    """How YCbCr samples were coded (TIFF 6.0, section 21).

    Attributes:
      luma: weights of red, green and blue in Y.
      reference: black and white codes of Y, Cb and Cr, in 8 bits.
    """

    luma: tuple[float, ...] = (0.299, 0.587, 0.114)
    reference: tuple[float, ...] = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)


class Samples(NamedTuple):
    """An image as its file has it.

    Attributes:
      values: (H, W, S), uint8 or uint16 in native byte order, without alpha.
      kind: what the samples mean; `inverted` is grey of which 0 is white.
      bits: per sample in the file, 1 to 16.
      significant: of 16 bits, how many are used as the tags say; None where they are silent.
      scaled: the format demands that fewer bits are scaled up to the sixteen (PNG's sBIT), so that
        values beyond the significant bits contradict nothing.
      orientation: 1 to 8, as TIFF and EXIF count.
      alpha_varies: an alpha channel was left out that is not the same everywhere.
      coding: of `ycbcr` alone.
      cautions: what a user should know, in plain sentences.
    """

    values: np.ndarray
    kind: Kind
    bits: int
    significant: int | None = None
    scaled: bool = False
    orientation: int = 1
    alpha_varies: bool = False
    coding: YCbCr = YCbCr()
    cautions: tuple[str, ...] = ()


def bands(image: np.ndarray) -> Iterator[slice]:
    """Slices of rows (H, W, ...) that together are the image."""
    rows = max(1, _BAND // max(1, image.shape[1]))
    for start in range(0, image.shape[0], rows):
        yield slice(start, start + rows)


def normalised(samples: Samples, depth: int, channels: int) -> np.ndarray:
    """The image upright, (H, W, channels), uint8 or uint16 of the full range.

    Args:
      samples: their values may be overwritten.
      depth: bits of uint16 values that are used; value v becomes round(65535 v / (2^depth − 1)).
      channels: 1 for grey (colour becomes ITU-R 601 luma), 3 for RGB (grey is repeated).
    """
    values = samples.values
    table = _table(samples.bits, depth)
    same = CHANNELS[samples.kind] == channels and values.flags.writeable
    out = values if same else np.empty((*values.shape[:2], channels), values.dtype)
    if not same or table is not None or samples.kind not in ("grey", "rgb"):
        for rows in bands(values):
            band = values[rows] if table is None else table[values[rows]]
            out[rows] = to_channels(_colours(band, samples), channels)
    return np.ascontiguousarray(_upright(out, samples.orientation))


def to_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """Converts `(height, width)` or `(height, width, 1 to 4)` to `(height, width, channels)`.

    Two and four channels are grey and colour with alpha, which is dropped. The dtype, uint8 or
    uint16, stays.
    """
    if image.ndim == 2:
        image = image[..., None]
    image = image[..., :3] if image.shape[-1] >= 3 else image[..., :1]
    if channels == 1 and image.shape[-1] == 3:
        return _luma(image)
    return np.repeat(image, channels, axis=-1) if image.shape[-1] < channels else image


def _luma(rgb: np.ndarray) -> np.ndarray:
    grey = np.empty((*rgb.shape[:2], 1), rgb.dtype)
    weights = np.array([299, 587, 114], np.uint32)
    for rows in bands(rgb):
        grey[rows, :, 0] = (rgb[rows].astype(np.uint32) @ weights + 500) // 1000
    return grey


def _table(bits: int, depth: int) -> np.ndarray | None:
    """Full-range values by stored ones; None where they are the same."""
    if bits == 8 or (bits > 8 and depth == 16):
        return None
    if bits < 8:
        top = 2**bits - 1
        levels = np.minimum(np.arange(256), top)
        return ((levels * 255 + top // 2) // top).astype(np.uint8)
    top = 2**depth - 1
    levels = np.minimum(np.arange(65536, dtype=np.int64), top)
    return ((levels * 65535 + top // 2) // top).astype(np.uint16)


def _colours(band: np.ndarray, samples: Samples) -> np.ndarray:
    """Grey or RGB of full-range samples, (h, w, 1 or 3)."""
    top = np.iinfo(band.dtype).max
    if samples.kind == "inverted":
        return top - band
    if samples.kind == "cmyk":
        light = top - band.astype(np.uint32)
        return ((light[..., :3] * light[..., 3:] + top // 2) // top).astype(band.dtype)
    if samples.kind == "ycbcr":
        return _rgb_of_ycbcr(band, samples.coding, top)
    return band


def _rgb_of_ycbcr(band: np.ndarray, coding: YCbCr, top: int) -> np.ndarray:
    codes = band.astype(np.float64) * (255 / top)
    black, white = np.array(coding.reference[::2]), np.array(coding.reference[1::2])
    if top != 255:  # the middle of sixteen bits is 32768, which is not 128 of 255
        black = np.where(black == 128, 32768 * 255 / 65535, black)
    luma, blue, red = np.moveaxis((codes - black) / (white - black) * (255, 127, 127), -1, 0)
    weight_red, weight_green, weight_blue = coding.luma
    r = luma + (2 - 2 * weight_red) * red
    b = luma + (2 - 2 * weight_blue) * blue
    g = (luma - weight_red * r - weight_blue * b) / weight_green
    rgb = np.stack([r, g, b], -1) * (top / 255)
    return np.clip(np.rint(rgb), 0, top).astype(band.dtype)


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    if orientation >= 5:  # rows and columns change places
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image
