"""What the tags of a TIFF's page say about its samples."""

import re
from typing import Any

import numpy as np
import tifffile

from semad.data.samples import Kind, Unreadable, YCbCr, bands

PALETTE = 3
_KINDS: dict[int, Kind] = {
    0: "inverted",
    1: "grey",
    2: "rgb",
    PALETTE: "rgb",
    5: "cmyk",
    6: "ycbcr",
}
_CMYK = 5


def interpretation(page: tifffile.TiffPage, cautions: list[str]) -> int:
    """The photometric interpretation."""
    if 262 in page.tags:
        return int(page.photometric)
    # As libtiff decides; tifffile would take 0 for white.
    cautions.append("no tag says how its samples are meant; 0 was taken for black")
    return 2 if page.samplesperpixel >= 3 else 1


def kind_of(page: tifffile.TiffPage, photometric: int) -> Kind:
    """What its samples are.

    Raises:
      Unreadable: they are not understood.
    """
    known = photometric in _KINDS
    if not known or (photometric == _CMYK and page.tags.valueof(332, default=1) != 1):
        try:
            name = tifffile.PHOTOMETRIC(photometric).name
        except ValueError:
            name = str(photometric)
        name = "separations other than CMYK" if known else name
        raise Unreadable(
            f"its photometric interpretation, {name}, is not supported", "convert it to grey or RGB"
        )
    return _KINDS[photometric]


def palette_colours(page: tifffile.TiffPage, indices: np.ndarray) -> np.ndarray:
    """Colours (H, W, 3) uint8 of indices (H, W).

    Raises:
      Unreadable: the palette is missing or damaged.
    """
    palette = np.asarray(page.tags.valueof(320))
    if (
        palette.dtype.kind != "u"
        and palette.dtype.kind != "i"
        or palette.size != 3 * 2 ** int(page.bitspersample)
    ):
        raise Unreadable("its palette is damaged")
    palette = palette.reshape(3, -1).T
    # Some writers store 8 bits where sixteen belong.
    palette = (palette if palette.max() < 256 else palette >> 8).astype(np.uint8)
    colours = np.empty((*indices.shape, 3), np.uint8)
    for rows in bands(indices):
        colours[rows] = palette[indices[rows]]
    return colours


def coding_of(page: tifffile.TiffPage) -> YCbCr:
    """How YCbCr samples were coded.

    Raises:
      Unreadable: by damaged tags.
    """
    luma = _floats(page.tags.valueof(529), 3) or YCbCr().luma
    reference = _floats(page.tags.valueof(532), 6) or YCbCr().reference
    whites, blacks = reference[1::2], reference[::2]
    if not luma[1] or any(white == black for white, black in zip(whites, blacks, strict=True)):
        raise Unreadable("its colour coding is damaged")
    return YCbCr(luma, reference)


def _floats(value: Any, count: int) -> tuple[float, ...] | None:
    """Rationals, stored as pairs, as numbers."""
    if value is None or len(value) != 2 * count:
        return None
    return tuple(float(a) / float(b or 1) for a, b in zip(value[::2], value[1::2], strict=True))


def significant_bits(page: tifffile.TiffPage) -> int | None:
    """Bits that are used, as MaxSampleValue or OME's SignificantBits say."""
    for code in (281, 341):
        value = page.tags.valueof(code)
        top = max(value) if isinstance(value, tuple) and value else value
        # Others are the largest value of this image, which says nothing of the camera.
        if isinstance(top, int) and top.bit_count() == top.bit_length() >= 8:
            return min(16, top.bit_length())
    if match := re.search(r'SignificantBits="(\d{1,2})"', page.description):
        return int(match[1]) if 8 <= int(match[1]) <= 16 else None
    return None
