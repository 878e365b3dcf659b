"""Which files are inspected, and what their results are called."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from semad.data.images import EXTENSIONS
from semad.errors import UserError

_LONGEST = 200


class Item(NamedTuple):
    """A file to inspect.

    Attributes:
      path: of the image.
      name: relative to the folder that was given, with forward slashes.
      key: of its results, `maps/<key>.tif` and so on: the name without its extension, or, where
        two files would share that, with it. One too long for a file system is cut and numbered.
    """

    path: Path
    name: str
    key: str


def find(images: Path, output: Path) -> list[Item]:
    """The image files of a folder and its subfolders, sorted by name; or a single file.

    Hidden files, files of other kinds and `output` itself are left out.

    Raises:
      UserError: when there is no such folder or file, or no image in it, or it is in `output`.
    """
    images, output = images.resolve(), output.resolve()
    if not images.exists():
        raise UserError(f"--images {images}: not found; give an image file or a folder of them")
    if images.is_relative_to(output):
        raise UserError(f"--images {images} lies in --output {output}; write to another folder")
    if images.is_file():
        return [Item(images, images.name, _shorten(images.stem))]
    paths = [
        path
        for path in sorted(images.rglob("*"))
        if path.suffix.lower() in EXTENSIONS
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(images).parts)
        and not path.is_relative_to(output)
    ]
    if not paths:
        raise UserError(
            f"--images {images}: no images; expected files named {' '.join(EXTENSIONS)}"
        )
    names = [path.relative_to(images) for path in paths]
    short = [name.with_suffix("") for name in names]
    taken = Counter(short) + Counter(names)
    keys = [brief if taken[brief] == 1 else name for name, brief in zip(names, short, strict=True)]
    return [
        Item(path, name.as_posix(), _shorten(key.as_posix()))
        for path, name, key in zip(paths, names, keys, strict=True)
    ]


def _shorten(key: str) -> str:
    """The key, whose last part leaves room for an ending among the 255 bytes of a file's name."""
    parent, slash, name = key.rpartition("/")
    whole = name.encode(errors="surrogateescape")
    if len(whole) <= _LONGEST:
        return key
    digest = hashlib.sha256(whole).hexdigest()[:12]
    return f"{parent}{slash}{whole[: _LONGEST - 13].decode(errors='ignore')}-{digest}"


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
