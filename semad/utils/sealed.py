"""Checksums beside what a workdir holds, so that a bit that flips on a disk is noticed."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from semad.utils import hosts
from semad.utils.files import write_text

MANIFEST = "sha256.json"
"""File of a folder: the size and the SHA-256 of every other file below it."""

_SEAL = "sha256"


def write_manifest(folder: Path) -> None:
    """Writes the manifest of a folder whose files will not change any more.

    Raises:
      CannotWrite: see `write_bytes`.
    """
    paths = sorted(folder.rglob("*"))
    files = [path for path in paths if path.is_file() and path.name != MANIFEST]
    write_manifest_of(folder, [path.relative_to(folder).as_posix() for path in files])


def write_manifest_of(folder: Path, names: Iterable[str]) -> None:
    """Writes a manifest of some files of a folder, by their paths in it.

    Raises:
      CannotWrite: see `write_bytes`.
    """
    if not hosts.writes():
        return  # what it would name may not be there yet
    entries = {
        name: [(folder / name).stat().st_size, file_checksum(folder / name)] for name in names
    }
    write_text(folder / MANIFEST, json.dumps(entries, indent=1) + "\n")


def damage(folder: Path) -> str | None:
    """What is wrong with a folder by its manifest, in a few words; None when nothing is.

    Files that the manifest does not name do not matter. A folder without one, of an older semad, is
    taken for sound.

    Raises:
      FileNotFoundError: when the folder itself is gone.
    """
    folder.stat()
    path = folder / MANIFEST
    try:
        if not path.exists():
            return None
        entries = json.loads(path.read_bytes())
        for name, (size, checksum) in entries.items():
            file = folder / name
            if not file.is_file():
                return f"{name}, which {MANIFEST} names, is missing"
            if file.stat().st_size != size or file_checksum(file) != checksum:
                return f"{name} is not as {MANIFEST} has it"
    except OSError as error:
        folder.stat()
        return f"it cannot be read ({error.strerror or error})"
    except (ValueError, TypeError, AttributeError, RecursionError):
        return f"{MANIFEST} is not as it was written"
    return None


def has_manifest(folder: Path) -> bool:
    """Whether the files of a folder can be checked."""
    return (folder / MANIFEST).is_file()


def file_checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sealed(path: Path, content: dict[str, Any]) -> None:
    """Writes JSON with a checksum of its content inside.

    Raises:
      CannotWrite: see `write_bytes`.
    """
    write_text(path, json.dumps(content | {_SEAL: _seal(content)}, indent=2) + "\n")


def read_sealed(path: Path) -> dict[str, Any] | None:
    """What `write_sealed` wrote; None when there is nothing, or it is damaged.

    A file without a checksum, of an older semad, is taken as it is.
    """
    try:
        content = json.loads(path.read_bytes())
        seal = content.pop(_SEAL, None)
        return content if seal in (None, _seal(content)) else None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def _seal(content: dict[str, Any]) -> str:
    # As it comes back from JSON: a tuple is a list then, and a key is a string.
    plain = json.loads(json.dumps(content))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
