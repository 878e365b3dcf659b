"""Many files read alike: one bit depth for all, degenerate frames left out, cautions gathered."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from semad.data import depth
from semad.data.degenerate import degenerate
from semad.data.files import FileImage, Reading, pages_of, read_file
from semad.data.listing import Skipped
from semad.errors import UserError

_NAMED = 3


class Entry(NamedTuple):
    """An image to read: a file, one of its pages, and the name that results give it."""

    path: Path
    page: int | None
    name: str


class Collection(NamedTuple):
    """Images that were read.

    Attributes:
      entries: one per image.
      images: (H, W, C) each.
      rows: of each with its data bar.
      bit_depth: that 16-bit files were read with; 0 where there is none.
      cautions: pairs of an image's name and a sentence.
    """

    entries: list[Entry]
    images: list[np.ndarray]
    rows: list[int]
    bit_depth: int
    cautions: list[tuple[str, str]]


def entries_of(paths: Iterable[Path], prefix: str, reading: Reading) -> list[Entry]:
    """The images of files: `<prefix>/<file>`, or `<prefix>/<file>#<page>` of a stack.

    Raises:
      UserError: for a stack, unless `reading.pages` says what to take.
    """
    return [
        Entry(path, page, f"{prefix}/{path.name}" + (f"#{page}" if page else ""))
        for path in paths
        for page in pages_of(path, reading)
    ]


def read_training(entries: Sequence[Entry], reading: Reading) -> Collection:
    """Reads training images: all by the bit depth that holds the values of all.

    Raises:
      UserError: a file cannot be read, or no image is of any use.
    """
    read = [read_file(entry.path, reading, entry.page) for entry in entries]
    # A black or a burnt-out frame says nothing of the others.
    deep = [image for image in read if _is_deep(image)]
    telling = [image for image in deep if degenerate(image.pixels) is None] or deep
    bits = max((image.depth.bits for image in telling), default=0)
    bits = min(bits, reading.bit_depth) if reading.bit_depth else bits
    guessed = [image.depth.guessed for image in read]
    for number, (entry, image) in enumerate(zip(entries, read, strict=True)):
        if _is_deep(image) and image.depth.bits != bits and not reading.bit_depth:
            read[number] = read_file(entry.path, reading._replace(bit_depth=bits), entry.page)
    said = []
    for entry, image, was_guessed in zip(entries, read, guessed, strict=True):
        now = was_guessed and not image.depth.guessed and bits < 16
        said += [(entry.name, caution) for caution in image.cautions]
        said += [(entry.name, depth.guessed(bits))] if now else []
    reasons = [degenerate(image.pixels) for image in read]
    kept = [number for number, reason in enumerate(reasons) if reason is None]
    said += [
        (entry.name, f"left out of training, {reason}")
        for entry, reason in zip(entries, reasons, strict=True)
        if reason is not None
    ]
    if not kept:
        raise UserError(
            f"no image to train on: {entries[0].path} is {reasons[0]}, and so are all others; give "
            "images with something in them"
        )
    return Collection(
        entries=[entries[number] for number in kept],
        images=[read[number].pixels for number in kept],
        rows=[read[number].rows for number in kept],
        bit_depth=bits,
        cautions=said,
    )


def read_test(entries: Sequence[Entry], reading: Reading, bit_depth: int) -> Collection:
    """Reads test images by the bit depth of the training images; degenerate ones stay.

    Raises:
      UserError: a file cannot be read.
    """
    used = reading._replace(bit_depth=reading.bit_depth or bit_depth)
    read = [read_file(entry.path, used, entry.page) for entry in entries]
    said = _said(entries, read)
    for entry, image in zip(entries, read, strict=True):
        reason = degenerate(image.pixels)
        if reason is not None:
            said.append((entry.name, f"a test image without a picture, {reason}"))
    images, rows = [image.pixels for image in read], [image.rows for image in read]
    return Collection(list(entries), images, rows, used.bit_depth, said)


def _said(entries: Sequence[Entry], images: Sequence[FileImage]) -> list[tuple[str, str]]:
    return [
        (entry.name, caution)
        for entry, image in zip(entries, images, strict=True)
        for caution in image.cautions
    ]


def _is_deep(image: FileImage) -> bool:
    return image.pixels.dtype == np.uint16


def gather(said: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Cautions with the names that each concerns, of many the number and the first ones."""
    names: dict[str, list[str]] = {}
    for name, sentence in said:
        names.setdefault(sentence, []).append(name)
    return tuple(f"{_list(images)}: {sentence}" for sentence, images in names.items())


def skipped(entries: Iterable[Skipped], root: Path) -> list[tuple[str, str]]:
    """Cautions about what a folder holds and is not read."""
    return [
        (entry.path.relative_to(root).as_posix(), f"not read, {entry.reason}") for entry in entries
    ]


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{len(names)} images ({shown}, ...)" if len(names) > _NAMED else shown
