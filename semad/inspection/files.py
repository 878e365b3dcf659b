"""Which files are inspected, and what their results are called."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from semad.data.images import EXTENSIONS
from semad.errors import UserError


class Item(NamedTuple):
    """A file to inspect.

    Attributes:
      path: of the image.
      name: relative to the folder that was given, with forward slashes.
      key: of its results, `maps/<key>.tif` and so on: the name without its extension, or, where
        two files would share that, with it.
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
    images, output = images.absolute(), output.absolute()
    if not images.exists():
        raise UserError(f"--images {images}: not found; give an image file or a folder of them")
    if images.is_relative_to(output):
        raise UserError(f"--images {images} lies in --output {output}; write to another folder")
    if images.is_file():
        return [Item(images, images.name, images.stem)]
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
    shared = Counter(name.with_suffix("") for name in names)
    return [
        Item(
            path,
            name.as_posix(),
            (name.with_suffix("") if shared[name.with_suffix("")] == 1 else name).as_posix(),
        )
        for path, name in zip(paths, names, strict=True)
    ]


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
