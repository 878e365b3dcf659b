"""TIFF files: tifffile and imagecodecs decode the samples, their tags say what they mean."""

import io
import logging
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from PIL import Image, Jpeg2KImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from semad.data.directories import Directory, find_pages
from semad.data.limits import check_size
from semad.data.samples import CHANNELS, Samples, Unreadable, YCbCr
from semad.data.tiff_tags import (
    PALETTE,
    coding_of,
    interpretation,
    kind_of,
    palette_colours,
    significant_bits,
)

# tifffile logs every odd tag of a microscope's file, and errors that it raises as well.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_BUFFER = 2**24  # bytes that are read from a file at once
_JPEG = 7
# Codecs whose data have a size of their own, which must be checked before they are decoded.
_EMBEDDED = {
    _JPEG: JpegImagePlugin.JpegImageFile,
    33007: JpegImagePlugin.JpegImageFile,
    34712: Jpeg2KImagePlugin.Jpeg2KImageFile,
    34933: PngImagePlugin.PngImageFile,
    50001: WebPImagePlugin.WebPImageFile,
}
# None, CCITT, LZW, deflate, PackBits, LZMA, Zstandard.
_COMPRESSIONS = {1, 2, 3, 4, 5, 8, 32946, 32773, 34925, 50000, *_EMBEDDED}
# Special kinds of TIFF, for which tifffile would follow structures of the maker.
_PLAIN: dict[str, Any] = {f"is_{kind}": False for kind in ("lsm", "scanimage", "ndpi", "stk")}


class Page(NamedTuple):
    """An image of a file.

    Attributes:
      directory: that describes it.
      frame: which of the images that share the directory, from 0.
      cautions: about the file.
    """

    directory: Directory
    frame: int = 0
    cautions: tuple[str, ...] = ()


@contextmanager
def opened(path: Path) -> Iterator[tifffile.TiffFile]:
    """The file, without what tifffile would do for particular makers."""
    with tifffile.TiffFile(path, **_PLAIN) as tiff:
        yield tiff


def read_pages(path: Path) -> list[Page]:
    """The images of a file, without thumbnails; images behind a single directory are counted too.

    Raises:
      Unreadable: damaged directories, or no image.
    """
    with path.open("rb") as file:
        directories, cautions = find_pages(file, path.stat().st_size)
    if len(directories) > 1:
        return [Page(directory, 0, cautions) for directory in directories]
    with opened(path) as tiff:
        page = directory_page(tiff, directories[0])
        frames, claimed = _frames(page, path.stat().st_size)
    if frames != claimed:
        cautions += (f"its description counts {claimed} images, of which it holds {frames}",)
    return [Page(directories[0], frame, cautions) for frame in range(frames)]


def directory_page(tiff: tifffile.TiffFile, directory: Directory) -> tifffile.TiffPage:
    """tifffile's page of a directory."""
    tiff.filehandle.seek(directory.offset)
    page = tifffile.TiffPage(tiff, index=0)
    if (page.imagewidth, page.imagelength) != (directory.width, directory.height):
        raise Unreadable("its tags are damaged")
    return page


def _frames(page: tifffile.TiffPage, size: int) -> tuple[int, int]:
    """How many images lie behind a directory, and how many its writer says.

    ImageJ, MetaMorph and tifffile itself can write a stack with the directory of its first image
    alone.
    """
    if match := re.search(r"^ImageJ=.*?^images=(\d{1,9})\s*$", page.description, re.S | re.M):
        claimed = int(match[1])
    elif 33629 in page.tags:  # UIC2: a value for each plane
        claimed = page.tags[33629].count
    elif '"truncated": true' in page.description and (
        match := re.search(r'"shape": \[([\d, ]{1,99})\]', page.description)
    ):
        claimed = math.prod(map(int, match[1].split(","))) // max(1, math.prod(page.shape))
    else:
        return 1, 1
    if claimed < 2:
        return 1, 1
    if not page.is_contiguous or page.nbytes < 1:
        return 1, claimed
    held = (size - page.dataoffsets[0]) // page.nbytes
    return min(claimed, max(1, held)), claimed


def decode(tiff: tifffile.TiffFile, page: Page, stored: int, expected: int = 0) -> Samples:
    """Decodes a page.

    Args:
      tiff: the file.
      page: of it.
      stored: bytes of the file.
      expected: pixels of what it belongs to; an image of no more may shrink as it likes.

    Raises:
      Unreadable: what is damaged, too large or not understood.
    """
    entry = directory_page(tiff, page.directory)
    cautions = list(page.cautions)
    photometric = interpretation(entry, cautions)
    kind = kind_of(entry, photometric)
    colours = 1 if photometric == PALETTE else CHANNELS[kind]
    _check_layout(entry, colours)
    _check_room(entry, stored, expected)
    values = _values(tiff, entry, page.frame)
    if entry.axes == "SYX":
        values = np.moveaxis(values, 0, -1)
    values = values.reshape(entry.imagelength, entry.imagewidth, entry.samplesperpixel)
    varies = values.shape[-1] > colours and _alpha_varies(entry, values[..., -1], cautions)
    bits = int(entry.bitspersample)
    if photometric == PALETTE:
        values, bits = palette_colours(entry, values[..., 0]), 8
    elif kind == "ycbcr" and entry.compression in _EMBEDDED and entry.planarconfig == 1:
        kind = "rgb"  # the codec has converted it
    orientation = entry.tags.valueof(274, default=1)
    if orientation not in range(1, 9):
        cautions.append(f"its orientation tag {orientation!r:.20} is not understood")
        orientation = 1
    return Samples(
        values=values[..., : CHANNELS[kind]],
        kind=kind,
        bits=bits,
        significant=significant_bits(entry) if bits == 16 else None,
        orientation=orientation,
        alpha_varies=varies,
        coding=coding_of(entry) if kind == "ycbcr" else YCbCr(),
        cautions=tuple(cautions),
    )


def _check_layout(page: tifffile.TiffPage, colours: int) -> None:
    """Refuses samples that are not understood, before anything is decoded."""
    if not isinstance(page.bitspersample, int):
        raise Unreadable("an image of mixed depths is not supported", "convert it to 8 bits")
    dtype = page.dtype
    if dtype is None or dtype.char not in "?BH":
        kind = f"{dtype} image" if dtype is not None else f"image of {page.bitspersample} bits"
        raise Unreadable(f"{kind} is not supported", "convert it to 8-bit or 16-bit")
    if page.samplesperpixel not in (colours, colours + 1):
        raise Unreadable(
            f"it has {page.samplesperpixel} samples per pixel", "save its channels as single images"
        )
    if page.planarconfig not in (1, 2):
        raise Unreadable("its tags are damaged")
    if page.imagedepth != 1 or page.tiledepth != 1:
        raise Unreadable("it is a volume", "save its slices as images")
    if page.compression not in _COMPRESSIONS:
        try:
            name = tifffile.COMPRESSION(page.compression).name
        except ValueError:
            name = str(page.compression)
        raise Unreadable(f"its compression {name} is not supported", "save it as LZW or deflate")
    if page.compression == _JPEG and page.extrasamples:
        raise Unreadable("JPEG compression with an alpha channel is not supported")


def _check_room(page: tifffile.TiffPage, stored: int, expected: int) -> None:
    """Refuses what would not fit, and strips or tiles that are missing or claimed twice."""
    assert page.dtype is not None
    segments = math.prod(page.chunked)
    decoded = segments * math.prod(page.chunks) * page.dtype.itemsize
    decoded = max(decoded, page.nbytes)
    size = page.imagewidth, page.imagelength
    colours = 1 if page.samplesperpixel < 3 and page.photometric != PALETTE else 3
    out = math.prod(size) * colours * page.dtype.itemsize
    needed = (1 if page.is_contiguous else 2) * decoded + out
    check_size(*size, decoded, needed, stored, expected)
    places = list(zip(page.dataoffsets, page.databytecounts, strict=False))[:segments]
    if len(places) < segments or any(start < 1 or count < 1 for start, count in places):
        raise Unreadable(f"parts of the image are missing of its {segments} strips or tiles")
    if max(start + count for start, count in places) > stored:
        raise Unreadable("the file is truncated")
    if sum(count for _, count in places) > 4 * stored + 2**20:
        raise Unreadable("its strips claim more data than the file holds")


def _values(tiff: tifffile.TiffFile, page: tifffile.TiffPage, frame: int) -> np.ndarray:
    handle = tiff.filehandle
    if page.compression in _EMBEDDED:
        for start, count in zip(page.dataoffsets, page.databytecounts, strict=False):
            handle.seek(start)
            _check_embedded(page, handle.read(count))
    if frame:
        assert page.dtype is not None
        dtype = np.dtype(f"{tiff.byteorder}{page.dtype.char}")
        start = page.dataoffsets[0] + frame * page.nbytes
        return handle.read_array(dtype, math.prod(page.shape), start).reshape(page.shape)
    array = page.asarray(buffersize=_BUFFER)
    if array.shape != page.shape:
        raise Unreadable("its tags are damaged")
    if array.dtype == bool:
        array = array.view(np.uint8)
    return array


def _check_embedded(page: tifffile.TiffPage, data: bytes) -> None:
    """The image in a strip or tile may not be larger than the strip or tile."""
    with Image.open(io.BytesIO(data), formats=[str(_EMBEDDED[page.compression].format)]) as image:
        width, height = image.size
    rows, columns = page.chunks[:2]
    if width > columns or height > rows:
        raise Unreadable(f"a part of it is {width}x{height} pixels and not {columns}x{rows}")


def _alpha_varies(page: tifffile.TiffPage, alpha: np.ndarray, cautions: list[str]) -> bool:
    """Whether the sample beside the colours is not the same everywhere, with a caution if so."""
    varies = bool(alpha.min() != alpha.max())
    if varies:
        meaning = "alpha channel" if any(page.extrasamples) else "further channel"
        cautions.append(f"its {meaning} was left out")
    return varies
