"""Writing so that nothing half-written is taken for a result, and nothing older is lost.

Of several processes that work on a run the first alone writes (`semad.utils.hosts`): in the others
these functions leave the disk as it is.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import psutil

from semad.errors import CannotWrite, UserError
from semad.utils import hosts

_PART = re.compile(r"^\..*\.part-(\d+)$", re.DOTALL)
"""What is being written, by the number of the process that writes."""


def write_text(path: Path, text: str) -> None:
    """Writes a whole file or none; see `write_bytes`."""
    # A file name that is no valid UTF-8 may be part of the text.
    write_bytes(path, lambda file: file.write(text.encode(errors="backslashreplace")))


def write_bytes(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes a whole file or none, by a function that is given the opened file.

    On return the file is on the disk, not in the system's cache alone. A link that stands there is
    replaced, and what it points to is left as it is.

    Raises:
      CannotWrite: on a full disk and the like; nothing half-written is left.
    """
    if not hosts.writes():
        return
    part = _part(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        try:
            with part.open("xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def append_line(path: Path, line: str) -> None:
    """Appends a line to a file that is no link; a line cut short earlier is ended before.

    Raises:
      CannotWrite: on a full disk and the like.
    """
    if not hosts.writes():
        return
    with writing(path):
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(path, flags, 0o666), "r+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            cut = size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
            file.write(b"\n" * cut + line.encode(errors="backslashreplace") + b"\n")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Has an error of the system while a file or folder is written end in one line.

    Raises:
      CannotWrite: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise CannotWrite(
            f"{where}: cannot be written ({error.strerror or error}); check space and access, then "
            "run the same command again"
        ) from error


def sync_folder(folder: Path) -> None:
    """Puts a folder's entries on the disk, where the system has folders that can be synced."""
    with suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Puts all files and folders below a folder, and its own entry, on the disk."""
    for parent, _, names in os.walk(folder):
        for name in names:
            with (Path(parent) / name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(parent))
    sync_folder(folder.parent)


def remove_leftovers(folder: Path) -> None:
    """Removes what dead processes left half-written anywhere in a folder, without following links.

    Not what lies deeper than three folders: semad writes nothing there.
    """
    for pattern in ("", "*/", "*/*/"):
        for path in folder.glob(f"{pattern}.*.part-*"):
            match = _PART.match(path.name)
            if not match or psutil.pid_exists(int(match[1])):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink()


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.part-{os.getpid()}")


def check_no_link(folder: Path) -> None:
    """Checks that results which go to a folder do not go elsewhere.

    Raises:
      UserError: for a link.
    """
    if folder.is_symlink():
        raise UserError(f"{folder} is a link, and nothing is written through it; remove it")


def check_replaceable(folder: Path, marker: str = "") -> None:
    """Checks that results may go to a folder: it is new or empty, or holds earlier ones.

    Args:
      folder: for results.
      marker: a file that earlier results have; none when they may not be replaced.

    Raises:
      UserError: when something else stands there.
    """
    if not folder.exists() or (marker and (folder / marker).is_file()):
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise UserError(f"{folder} exists and holds something else; give a new folder")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to write results into; it takes its name only when the block ends well.

    What stood there before is kept as `<name>.1`, `<name>.2`, ...

    Raises:
      CannotWrite: in place of an OSError in the block.
    """
    if not hosts.writes():
        with tempfile.TemporaryDirectory() as aside:
            yield Path(aside)
        return
    folder = folder.absolute()  # a relative one may have no name
    part = _part(folder)
    try:
        with writing(folder):
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            yield part
            sync_tree(part)
            if folder.exists():
                folder.rename(_older_name(folder))
            part.rename(folder)
            sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _older_name(folder: Path) -> Path:
    number = 1
    while (older := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    return older
