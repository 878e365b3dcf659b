"""Which files of a folder are images, and why the others are not read."""

from pathlib import Path
from typing import NamedTuple

from semad.data.microscope import sidecars
from semad.errors import UserError

EXTENSIONS = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".webp")

NOT_FOLLOWED = "a link, which is not followed (--config.data.follow_links=True does)"


class Skipped(NamedTuple):
    """A file, link or folder that is not read, and why."""

    path: Path
    reason: str


class Listing(NamedTuple):
    """What a folder holds, each sorted by name; hidden files and images' text files are in neither.

    Attributes:
      images: files to read.
      skipped: all else.
    """

    images: list[Path]
    skipped: list[Skipped]


def list_files(folder: Path, follow_links: bool, recursive: bool = False) -> Listing:
    """Lists a folder.

    Args:
      folder: to list; may itself be a link.
      follow_links: read what links in it point to, once each. Loops end.
      recursive: list its subfolders too.

    Raises:
      UserError: the folder is missing, not a folder, or unreadable.
    """
    root = folder.resolve()
    listing = Listing([], [])
    seen = {root}
    pending = [(path, recursive) for path in reversed(entries(folder))]
    while pending:
        path, descend = pending.pop()
        if path.name.startswith("."):
            continue
        reason = _link(path, root, seen, follow_links, recursive) if path.is_symlink() else None
        if reason is None and path.is_dir():
            reason = "a folder, which is not searched"
            if descend and not path.is_symlink() and path.resolve() in seen:
                reason = "a folder that a link has led to already"
            elif descend:
                seen.add(path.resolve())
                try:
                    pending += [(inner, True) for inner in reversed(entries(path))]
                    continue
                except UserError as error:
                    reason = str(error)
        elif reason is None:
            reason = _no_image(path)
        if reason is None:
            listing.images.append(path)
        elif reason:
            listing.skipped.append(Skipped(path, reason))
    return listing


def _link(path: Path, root: Path, seen: set[Path], follow: bool, recursive: bool) -> str | None:
    """Why a link is not read; None if it is, and then its target counts as seen."""
    if not path.exists():
        return "a link to nothing"
    if not follow:
        return NOT_FOLLOWED
    target = path.resolve()
    if target in seen or root.is_relative_to(target):
        return "a link to what is read already"
    if target.parent == root or (recursive and target.is_relative_to(root)):
        return "a link to what is read in its own place"
    seen.add(target)
    return None


def _no_image(path: Path) -> str | None:
    """Why a file is not read; empty for the text that belongs to an image, None for an image."""
    if not path.is_file():
        return "no regular file"
    if path.suffix.lower() in EXTENSIONS:
        return None
    if _belongs(path):
        return ""
    return f"not an image that is read ({path.suffix or 'without an extension'})"


def _belongs(path: Path) -> bool:
    """Whether a text file is named after an image beside it."""
    if path.suffix.lower() not in (".txt", ".hdr", ".xml"):
        return False
    images = [path.parent / f"{path.stem}{ending}" for ending in _endings()]
    images.append(path.parent / path.stem)
    base, dash, extension = path.stem.rpartition("-")
    if dash:
        images.append(path.parent / f"{base}.{extension}")
    return any(
        image.suffix.lower() in EXTENSIONS and image.is_file() and path in sidecars(image)
        for image in images
    )


def _endings() -> list[str]:
    return [
        cased
        for ending in EXTENSIONS
        for cased in (ending, ending.upper(), f".{ending[1:].title()}")
    ]


def list_images(folder: Path, follow_links: bool = False) -> list[Path]:
    """The image files of a folder, sorted by name.

    Raises:
      UserError: the folder is missing, not a folder, unreadable, or holds no image.
    """
    listing = list_files(folder, follow_links)
    if not listing.images:
        reasons = [skipped.reason for skipped in listing.skipped]
        links = f"; {len(reasons)} entries are {NOT_FOLLOWED}" if NOT_FOLLOWED in reasons else ""
        raise UserError(
            f"no images in {folder}; expected files named {' '.join(EXTENSIONS)}{links}"
        )
    return listing.images


def list_folders(folder: Path, follow_links: bool = False) -> Listing:
    """The folders in a folder as `images`, and what else is in it.

    Raises:
      UserError: the folder is missing, not a folder, or unreadable.
    """
    listing = Listing([], [])
    for path in entries(folder):
        if path.name.startswith("."):
            continue
        if path.is_symlink() and not follow_links:
            listing.skipped.append(Skipped(path, NOT_FOLLOWED))
        elif path.is_dir():
            listing.images.append(path)
        else:
            listing.skipped.append(Skipped(path, "not a folder"))
    return listing


def entries(folder: Path) -> list[Path]:
    """What is in a folder, sorted by name.

    Raises:
      UserError: the folder is missing, not a folder, or unreadable.
    """
    try:
        if not folder.exists():
            raise UserError(f"folder not found: {folder}; check the path")
        if not folder.is_dir():
            raise UserError(f"not a folder: {folder}; give the folder that holds the images")
        return sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"cannot read folder {folder}: {error.strerror}; check access") from error
