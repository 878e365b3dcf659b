"""Writing so that nothing half-written is taken for a result, and nothing older is lost."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from semad.errors import UserError


def write_text(path: Path, text: str) -> None:
    """Writes a whole file or none."""
    # A file name that is no valid UTF-8 may be part of the text.
    write_bytes(path, lambda file: file.write(text.encode(errors="backslashreplace")))


def write_bytes(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes a whole file or none, by a function that is given the opened file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        write(file)
    part.replace(path)


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
    """
    folder = folder.absolute()  # a relative one may have no name
    part = folder.with_name(f".{folder.name}.part-{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    if folder.exists():
        number = 1
        while (older := folder.with_name(f"{folder.name}.{number}")).exists():
            number += 1
        folder.rename(older)
    part.rename(folder)
