"""Arrays by name in one file (NumPy's npz), every byte of which is checked when it is read."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from semad.errors import UserError
from semad.utils.files import write_bytes

Arrays = dict[str, np.ndarray]


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], compress: bool = True) -> None:
    """Writes a whole file or none.

    Raises:
      CannotWrite: see `write_bytes`.
    """
    archive = io.BytesIO()  # so that a full disk is met by a plain write
    save = np.savez_compressed if compress else np.savez
    save(archive, allow_pickle=False, **arrays)
    with zipfile.ZipFile(archive, "a") as members:
        members.comment = _table(members)
    write_bytes(path, lambda file: file.write(archive.getbuffer()))


def read_arrays(path: Path) -> Arrays:
    """What `write_arrays` wrote.

    `np.load` stops reading before the checksums that the file has of each array.

    Raises:
      UserError: when the file cannot be read, or is not as it was written.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.comment and archive.comment != _table(archive):  # older files have none
                raise ValueError("its table of contents")
            return {
                name.removesuffix(".npy"): np.lib.format.read_array(
                    io.BytesIO(archive.read(name)), allow_pickle=False
                )
                for name in archive.namelist()
            }
    except Exception as error:  # whatever zipfile, zlib and NumPy stumble over
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path}: damaged ({why})") from error


def _table(archive: zipfile.ZipFile) -> bytes:
    """A checksum of the archive's table of contents, of which zipfile drops what it cannot read."""
    entries = [f"{entry.filename} {entry.file_size} {entry.CRC}" for entry in archive.infolist()]
    return hashlib.sha256("\n".join(entries).encode()).hexdigest().encode()
