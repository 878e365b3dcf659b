"""Which files are inspected, which are not, and what their results are called."""

import hashlib
import itertools
import re
import unicodedata
from collections import Counter
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from semad.data.images import EXTENSIONS, Skipped, list_files
from semad.data.microscope import sidecars
from semad.errors import UserError
from semad.utils.sealed import file_checksum

OTHER_IMAGES = frozenset(
    (
        *(".bif", ".czi", ".dcm", ".dm2", ".dm3", ".dm4", ".emd", ".emi", ".gif", ".h5", ".hdf5"),
        *(".heic", ".ibw", ".jp2", ".jxl", ".lif", ".lsm", ".mrc", ".nd2", ".oib", ".oif", ".raw"),
        *(".ser", ".sis", ".sm4", ".spm", ".stp", ".svs", ".sxm", ".vsi", ".zvi"),
    )
)
"""Extensions of images that semad does not read, but whoever looks for results may expect."""

_LONGEST = 200
"""Bytes of a folder's or file's name, which leave room for an ending among the usual 255."""
_DEEPEST = 1500
"""Bytes of a whole key, which leave room for the output folder's path."""
_ENDINGS = (".tif", ".png", ".json", ".jpg", ".js", ".zip")
"""What results add to a key."""
_UNUSUAL = re.compile(r'[\x00-\x1f\x7f<>:"\\|?*\ud800-\udfff]')
"""Characters that some file system refuses; the last range stands for bytes that are no UTF-8."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


class Item(NamedTuple):
    """A file to inspect, or a page of it.

    Attributes:
      path: of the image.
      name: relative to the folder that was given, with forward slashes; `stack.tif#3` for a page.
      key: of its results, `maps/<key>.tif` and so on: the name without its extension, or, where
        that would not be the results' of this file alone, with it, or with a checksum of the name.
      page: of a file with several, else None.
    """

    path: Path
    name: str
    key: str
    page: int | None = None


class LeftOut(NamedTuple):
    """A file that is not inspected.

    Attributes:
      name: as of an `Item`.
      reason: why not.
      image: whether a verdict was to be expected: an image of another format, or a link.
    """

    name: str
    reason: str
    image: bool


class Inputs(NamedTuple):
    """What stands in a folder.

    Attributes:
      entries: files to inspect and files left out, sorted by name.
      taken: what no key of a page may be, in the form of `same_file`.
    """

    entries: list[Item | LeftOut]
    taken: frozenset[str]

    @property
    def items(self) -> list[Item]:
        """Those to inspect."""
        return [entry for entry in self.entries if isinstance(entry, Item)]

    @property
    def paths(self) -> dict[str, Path]:
        """The path of each of them, by its name."""
        return {item.name: item.path for item in self.items}


def find(images: Path, output: Path, follow_links: bool = False) -> Inputs:
    """The files of a folder and its subfolders; or a single file.

    Hidden files, what describes an image beside it, and `output` itself are left out.

    Raises:
      UserError: when there is no such folder or file, or no image in it, or it is in `output`.
    """
    given, output = images.absolute(), output.resolve()
    images = images.resolve()
    if not images.exists():
        raise UserError(f"--images {images}: not found; give an image file or a folder of them")
    if images.is_relative_to(output):
        raise UserError(f"--images {images} lies in --output {output}; write to another folder")
    if not images.is_dir() and not images.is_file():
        raise UserError(f"--images {images}: neither a file nor a folder")
    if images.is_file():
        (key,), taken = _keys([given.name])
        return Inputs([Item(images, given.name, key)], taken)
    listing = list_files(images, follow_links, recursive=True)
    paths = [path for path in listing.images if not path.is_relative_to(output)]
    skipped = [entry for entry in listing.skipped if not entry.path.is_relative_to(output)]
    left_out = [_left_out(entry, images, follow_links) for entry in skipped]
    if not paths and not any(entry.image for entry in left_out):
        raise UserError(
            f"--images {images}: no images; expected files named {' '.join(EXTENSIONS)}"
        )
    names = [path.relative_to(images).as_posix() for path in paths]
    keys, taken = _keys(names)
    items = [Item(*parts) for parts in zip(paths, names, keys, strict=True)]
    return Inputs(sorted([*items, *left_out], key=attrgetter("name")), taken)


def with_page(item: Item, page: int, taken: frozenset[str]) -> Item:
    """A page of a file as an item.

    Args:
      item: the file.
      page: its number.
      taken: of the `Inputs` that the file is of.
    """
    key, name = f"{item.key}-p{page}", f"{item.name}#{page}"
    if same_file(key) in taken:
        key = _distinct(key, name, taken)
    return item._replace(name=name, key=key, page=page)


def same_file(key: str) -> str:
    """A form that is the same for keys that some file system takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", key).casefold())


def description(path: Path) -> str | None:
    """SHA-256 of the files beside an image that describe it: its scale may come from them."""
    sums = [file_checksum(beside) for beside in sidecars(path)]
    return hashlib.sha256(" ".join(sums).encode()).hexdigest() if sums else None


def label_of(item: Item) -> Path | None:
    """The mask that a person made of an image, in the folder layout of `config.data.name=folder`.

    Of `test/<defect>/<name>.png` that is `ground_truth/<defect>/<name>_mask.png`; the extension may
    be another.
    """
    folder = item.path.parent
    if folder.parent.name != "test":
        return None
    masks = folder.parents[1] / "ground_truth" / folder.name
    stem = item.path.stem + ("" if item.page is None else f"#{item.page}")
    names = (f"{stem}{end}{extension}" for end in ("_mask", "") for extension in EXTENSIONS)
    return next((masks / name for name in names if (masks / name).is_file()), None)


def _left_out(entry: Skipped, images: Path, follow_links: bool) -> LeftOut:
    path = entry.path
    known = path.suffix.lower() in OTHER_IMAGES or path.suffix.lower() in EXTENSIONS
    # What a link points to may be read in another place, and has its verdict there.
    elsewhere = follow_links and path.exists() and entry.reason.startswith("a link to what is read")
    image = (known or path.is_symlink() or path.is_dir()) and not elsewhere
    return LeftOut(path.relative_to(images).as_posix(), entry.reason, image)


def _keys(names: list[str]) -> tuple[list[str], frozenset[str]]:
    """A key for each name, such that no two results are one file, nor a file a folder's name.

    Returns:
      The keys, and what no further key may be, in the form of `same_file`.
    """
    short = [_safe(str(PurePosixPath(name).with_suffix(""))) for name in names]
    whole = [_safe(name) for name in names]
    in_short, in_whole = (Counter(map(same_file, keys)) for keys in (short, whole))
    folders = {same_file(str(parent)) for key in whole for parent in PurePosixPath(key).parents}
    as_folders = {
        folder.removesuffix(ending)
        for folder in folders
        for ending in _ENDINGS
        if folder.endswith(ending)
    }
    taken = frozenset(in_short.keys() | in_whole.keys() | as_folders)

    def key_of(brief: str, long: str, name: str) -> str:
        form = same_file(brief)
        alone = in_short[form] == 1 and (in_whole[form] == 0 or brief == long)
        if alone and form not in as_folders:
            return brief
        form = same_file(long)
        if in_whole[form] == 1 and form not in as_folders:
            return long
        return _distinct(long, name, taken)

    return [key_of(*parts) for parts in zip(short, whole, names, strict=True)], taken


def _distinct(key: str, name: str, taken: frozenset[str]) -> str:
    """The key with a checksum of the name behind it; with another where that is taken as well."""
    candidates = (f"{key}-{_digest(name + '/' * number)}" for number in itertools.count())
    return next(candidate for candidate in candidates if same_file(candidate) not in taken)


def _safe(key: str) -> str:
    """The key in characters and lengths that every file system takes."""
    safe = "/".join(_safe_part(part) for part in key.split("/"))
    if len(safe.encode()) <= _DEEPEST:
        return safe
    return f"{_cut(safe.rpartition('/')[2], _LONGEST - 13)}-{_digest(key)}"


def _safe_part(part: str) -> str:
    plain = _UNUSUAL.sub("_", part).rstrip(". ")
    if plain == part and len(part.encode()) <= _LONGEST and not _RESERVED.fullmatch(part):
        return part
    return f"{_cut(plain, _LONGEST - 13)}-{_digest(part)}"


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore").rstrip(". ")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]
