"""One file, read: decoder, depth, orientation and data bar, and what is known beside the pixels."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from semad.data import depth, pillow_formats, tiff
from semad.data.directories import MAGIC
from semad.data.microscope import Microscope, read_microscope
from semad.data.samples import CHANNELS, Samples, Unreadable, normalised
from semad.errors import UserError

_T = TypeVar("_T")
_PAGES = "set --config.data.pages=each to take each as an image, or =<number> for one of them"


class Reading(NamedTuple):
    """How files are read.

    Attributes:
      channels: 1 for grey (colour becomes ITU-R 601 luma), 3 for RGB (grey is repeated).
      bit_depth: bits that 16-bit files use; 0: as their tags say, or else as the values of the
        image at hand need, with a caution.
      data_bar: rows at the bottom that are left out; -1: as many as the tags say.
      pages: of files with several images: none is taken (single), each is (each), or a number.
      follow_links: read what links in a folder point to.
    """

    channels: int
    bit_depth: int = 0
    data_bar: int = -1
    pages: str = "single"
    follow_links: bool = False


class FileImage(NamedTuple):
    """An image of a file.

    Attributes:
      pixels: (H, W, C), uint8 or uint16 of the full range, upright, without the data bar.
      rows: with the data bar.
      nm_per_pixel: the side of a pixel, where it is known.
      depth: bits of the values in the file, and whether they were guessed.
      cautions: plain sentences without the file's name.
    """

    pixels: np.ndarray
    rows: int
    nm_per_pixel: float | None
    depth: depth.Depth
    cautions: tuple[str, ...]


def pages_of(path: Path, reading: Reading) -> list[int | None]:
    """The images of a file that `reading` takes: [None] of a file with one, else numbers from 1.

    Raises:
      UserError: the file cannot be read, or holds several images and `reading.pages` is `single`.
    """
    return _guarded(path, "image", lambda: _pages(path, reading))


def read_file(path: Path, reading: Reading, page: int | None = None) -> FileImage:
    """Reads an image; `page` is one of `pages_of`.

    Raises:
      UserError: the file is missing, empty, damaged, too large, no image, or of an unsupported
        kind; it holds several images and `page` is None.
    """

    def read() -> FileImage:
        samples, maker = _decode(path, reading, page)
        known = depth.resolve(samples, reading.bit_depth)
        pixels = normalised(samples, known.bits, reading.channels)
        bar, cautions = _data_bar(samples, maker, len(pixels), reading.data_bar)
        return FileImage(
            pixels=np.ascontiguousarray(pixels[: len(pixels) - bar]),
            rows=len(pixels),
            nm_per_pixel=maker.nm_per_pixel,
            depth=known,
            cautions=samples.cautions + known.cautions + maker.cautions + cautions,
        )

    return _guarded(path, "image", read)


def read_plain(path: Path, expected: int) -> tuple[np.ndarray, bool]:
    """A mask's values as stored, upright, and whether an alpha channel that varies was left out.

    Args:
      path: the file.
      expected: pixels of its image. A mask of no more is read although it shrinks as only a
        decompression bomb would.

    Returns:
      (H, W, 1 or 3) uint8 or uint16.

    Raises:
      UserError: as for `read_file`.
    """

    def read() -> tuple[np.ndarray, bool]:
        samples, _ = _decode(path, Reading(1), None, expected)
        channels = 1 if CHANNELS[samples.kind] == 1 else 3
        return normalised(samples, 16, channels), samples.alpha_varies

    return _guarded(path, "mask", read)


def _guarded(path: Path, what: str, read: Callable[[], _T]) -> _T:
    """The result of a call, or one line that says what is wrong with a file."""
    try:
        if not path.is_file():
            raise UserError(f"{what} file not found: {path}; check the path")
        if path.stat().st_size == 0:
            raise Unreadable("the file is empty")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read()
    except UserError:
        raise
    except Unreadable as error:
        raise UserError(f"cannot read {what} {path}: {error!s:.300}; {error.advice}") from error
    except MemoryError as error:
        raise UserError(f"cannot read {what} {path}: memory is short; cut it into parts") from error
    except Exception as error:  # on damaged files the decoders raise nearly anything
        said = " ".join(str(error).split())[:200] or type(error).__name__
        reason = isinstance(error, OSError) and error.strerror or f"it is damaged ({said})"
        advice = "replace the file or remove it"
        raise UserError(f"cannot read {what} {path}: {reason}; {advice}") from error


def _is_tiff(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in MAGIC


def _count(path: Path) -> int:
    return len(tiff.read_pages(path)) if _is_tiff(path) else pillow_formats.count_frames(path)


def _pages(path: Path, reading: Reading) -> list[int | None]:
    count = _count(path)
    if count == 1:
        return [None]
    if reading.pages == "each":
        return list(range(1, count + 1))
    if reading.pages == "single":
        raise Unreadable(f"it is a stack of {count} pages", _PAGES)
    return [_number(reading.pages, count)]


def _number(text: str | int, count: int) -> int:
    number = int(text) if str(text).isascii() and str(text).isdigit() else 0
    if not 1 <= number <= count:
        raise Unreadable(f"page {text} of a stack of {count} pages", f"give one of 1 to {count}")
    return number


def _decode(
    path: Path, reading: Reading, page: int | None, expected: int = 0
) -> tuple[Samples, Microscope]:
    """The samples of an image, and what its maker wrote."""
    if not _is_tiff(path):
        count = pillow_formats.count_frames(path, expected)
        frame = _index(count, reading, page)
        samples = pillow_formats.decode(path, frame, expected)
        return samples, read_microscope(path, _size(samples))
    pages = tiff.read_pages(path)
    chosen = pages[_index(len(pages), reading, page)]
    with tiff.opened(path) as file:
        samples = tiff.decode(file, chosen, path.stat().st_size, expected)
        tags = (tiff.directory_page(file, chosen.directory), file.pages.first)
        return samples, read_microscope(path, _size(samples), tags)


def _index(count: int, reading: Reading, page: int | None) -> int:
    if page is not None:
        return _number(page, count) - 1
    if count == 1:
        return 0
    if reading.pages in ("single", "each"):
        raise Unreadable(f"it is a stack of {count} pages", _PAGES)
    return _number(reading.pages, count) - 1


def _size(samples: Samples) -> tuple[int, int]:
    return samples.values.shape[1], samples.values.shape[0]


def _data_bar(
    samples: Samples, maker: Microscope, rows: int, wanted: int
) -> tuple[int, tuple[str, ...]]:
    """Rows at the bottom of the upright image that are left out, and cautions."""
    if wanted >= rows:
        raise Unreadable(
            f"config.data.data_bar is {wanted}, but the image has {rows} rows",
            "set a smaller --config.data.data_bar",
        )
    if wanted >= 0:
        return wanted, ()
    bar = samples.values.shape[0] - (maker.image_rows or samples.values.shape[0])
    if bar and samples.orientation != 1:
        return 0, (f"its data bar of {bar} rows was not cut, since its orientation is turned",)
    return bar, ()
