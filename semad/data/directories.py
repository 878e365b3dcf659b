"""The pages of a TIFF, found before any library interprets them.

tifffile follows the chain of directories and reads their tags in good faith. Here the chain and the
sizes of the tags are checked first, so that a file with a cycle of directories, or with tags that
claim its bytes a thousand times over, ends in an error and not in hours or gigabytes.
"""

import struct
from typing import BinaryIO, NamedTuple

import numpy as np

from semad.data.samples import Unreadable

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_MAX_TAGS = 1024
_MAX_ENTRIES = 2**20  # over all directories
_SIZES = np.zeros(65536)  # bytes per value of a tag's type
_SIZES[[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]] = 1, 1, 2, 4, 8, 1, 1, 2, 4, 8
_SIZES[[11, 12, 13, 16, 17, 18]] = 4, 8, 4, 8, 8, 8
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_WIDE_INTEGERS = (3, 4, 13, 16, 18)
_REDUCED, _MASK = 0b1, 0b100
# Tags by whose numbers sizes are computed: those of a single one, and those of several.
_NUMBER = (254, 256, 257, 259, 262, 266, 274, 277, 278, 284, 317, 322, 323, 32997, 32998)
_NUMBERS = (258, 273, 279, 324, 325, 338, 339)


class Directory(NamedTuple):
    """Attributes:
    offset: in the file.
    width, height: in pixels; 0 where there is no such tag.
    subfile: the bits of NewSubfileType.
    """

    offset: int
    width: int
    height: int
    subfile: int


class _Layout(NamedTuple):
    """Classic TIFF or BigTIFF, in one byte order: struct formats and the dtype of an entry."""

    order: str
    number: str
    offset: str
    entry: np.dtype


def find_pages(file: BinaryIO, size: int) -> tuple[list[Directory], tuple[str, ...]]:
    """The directories that hold images of their own, in order, and cautions.

    Thumbnails (NewSubfileType bit 0, or at most half as large in both directions as the largest
    page) and transparency masks are none, wherever they stand. Sub-directories count: in some
    files the image itself lies in one and its thumbnail comes first.

    Raises:
      Unreadable: damaged or hostile directories, or no image.
    """
    directories, cautions = _walk(file, size)
    pages = [d for d in directories if not d.subfile & (_REDUCED | _MASK)]
    if not pages:
        raise Unreadable("it holds no page but thumbnails")
    pages = [d for d in pages if d.width and d.height] or pages
    largest = max(pages, key=lambda d: d.width * d.height)
    kept = []
    for page in pages:
        if 2 * page.width > largest.width or 2 * page.height > largest.height:
            kept.append(page)
        elif abs(page.width * largest.height - page.height * largest.width) > largest.width:
            cautions.append(
                f"a page of {page.width}x{page.height} pixels was taken for a thumbnail"
            )
    return kept or [largest], tuple(cautions)


def _walk(file: BinaryIO, size: int) -> tuple[list[Directory], list[str]]:
    layout, offset = _open(file)
    seen: set[int] = set()
    directories: list[Directory] = []
    children: list[int] = []
    cautions = []
    entries = 0

    def take(place: int) -> tuple[list[int], int]:
        """The places of the directories below it, and of the next one."""
        nonlocal entries
        seen.add(place)
        directory, below, following, tags = _read(file, layout, place, size)
        entries += tags
        if entries > _MAX_ENTRIES:
            raise Unreadable("it has too many pages", "split it into several files")
        directories.append(directory)
        return below, following

    while offset:
        if offset in seen or offset + 2 > size:
            if not directories:
                raise Unreadable("its list of pages is damaged")
            cautions.append("its list of pages is damaged; what came before was read")
            break
        below, offset = take(offset)
        children += below
    for child in children:
        if child not in seen and child + 2 <= size:
            take(child)
    return directories, cautions


def _open(file: BinaryIO) -> tuple[_Layout, int]:
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack(f"{order}H", head[2:4])[0] == 43
    counts, raw = ("Q", "V8") if big else ("I", "V4")
    entry = [("code", "u2"), ("type", "u2"), ("count", f"u{raw[1]}"), ("value", raw)]
    dtype = np.dtype(entry).newbyteorder("<" if order == "<" else ">")
    layout = _Layout(order, f"{order}{'Q' if big else 'H'}", f"{order}{counts}", dtype)
    if big and struct.unpack(f"{order}HH", head[4:8]) != (8, 0):
        raise Unreadable("its header is damaged")
    start = 8 if big else 4
    offset = struct.unpack_from(layout.offset, head, start)[0]
    if not offset:
        raise Unreadable("it holds no page")
    return layout, offset


def _read(
    file: BinaryIO, layout: _Layout, offset: int, size: int
) -> tuple[Directory, list[int], int, int]:
    """A directory, the offsets of its sub-directories, that of the next one, its number of tags."""
    file.seek(offset)
    tags = struct.unpack(layout.number, _exactly(file, struct.calcsize(layout.number)))[0]
    if tags > _MAX_TAGS:
        raise Unreadable(f"a page with {tags:,} tags is damaged")
    entries = np.frombuffer(_exactly(file, tags * layout.entry.itemsize), layout.entry)
    # Some writers end the file behind the last tag.
    following = file.read(struct.calcsize(layout.offset))
    complete = len(following) == struct.calcsize(layout.offset)
    next_offset = struct.unpack(layout.offset, following)[0] if complete else 0
    claimed = _SIZES[entries["type"]] * entries["count"].astype(np.float64)
    if claimed.sum() > 2 * size + 4096:
        raise Unreadable("its tags claim more data than the file holds")
    _check_numbers(entries)
    first = {int(code): row for row, code in reversed(list(enumerate(entries["code"])))}

    def values(code: int) -> list[int]:
        row = first.get(code)
        kind = _INTEGERS.get(int(entries["type"][row])) if row is not None else None
        if row is None or kind is None:
            return []
        count, raw = int(entries["count"][row]), bytes(entries["value"][row])
        length = count * struct.calcsize(kind)
        if length > len(raw):
            file.seek(struct.unpack(layout.offset, raw)[0])
            raw = _exactly(file, length)
        return list(struct.unpack_from(f"{layout.order}{count}{kind}", raw))

    width, height, subfile = ((values(code) or [0])[0] for code in (256, 257, 254))
    if not subfile:  # SubfileType, the older tag: 2 is a reduced image
        subfile = _REDUCED if values(255)[:1] == [2] else 0
    return Directory(offset, width, height, subfile), values(330), next_offset, tags


def _check_numbers(entries: np.ndarray) -> None:
    """Refuses text, fractions and lists where tifffile takes a number for granted."""
    single = np.isin(entries["code"], _NUMBER)
    numbers = single | np.isin(entries["code"], _NUMBERS)
    integers = np.isin(entries["type"], _WIDE_INTEGERS)
    if (numbers & ~integers).any() or (single & (entries["count"] != 1)).any():
        raise Unreadable("its tags are damaged")


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise Unreadable("the file is truncated")
    return data
