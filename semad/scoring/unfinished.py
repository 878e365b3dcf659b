"""What a long evaluation has scored so far, kept on disk: a stop loses a minute of it at most."""

import shutil
import time
from pathlib import Path

import numpy as np

from semad.utils.files import write_bytes, write_text

Block = dict[str, np.ndarray]

_EVERY = 60.0
"""Seconds between saves; an evaluation that takes less leaves nothing on disk."""
_ORIGIN = "origin"


class Unfinished:
    """Blocks of arrays, appended under a name and read in the same order by the call that goes on.

    Scores of a patch do not depend on the call that it came in, so what goes on from blocks ends as
    if nothing had been stopped.
    """

    def __init__(self, folder: Path | None, origin: str = "", every: float | None = None) -> None:
        """Keeps the blocks of the same origin that are there, and removes others.

        Args:
          folder: for the blocks, made when the first is saved; None keeps none.
          origin: of what the scores are made: weights, settings, data.
          every: seconds between saves; None for a minute.
        """
        self._folder, self._origin = folder, origin
        self._every = _EVERY if every is None else every
        self._saved = time.monotonic()
        if folder:
            marker = folder / _ORIGIN
            if not (marker.is_file() and marker.read_text() == origin):
                shutil.rmtree(folder, ignore_errors=True)

    def read(self, name: str) -> list[Block]:
        """The blocks appended under this name."""
        blocks: list[Block] = []
        while self._folder and (path := _path(self._folder, name, len(blocks))).is_file():
            with np.load(path, allow_pickle=False) as arrays:
                blocks.append(dict(arrays))
        return blocks

    def due(self) -> bool:
        """Whether so much time has passed since the last save that another one is worth it."""
        return self._folder is not None and time.monotonic() - self._saved > self._every

    def append(self, name: str, number: int, block: Block) -> None:
        """Saves, when `due`, the block of this number, counted from 0 under each name."""
        if self._folder is None:
            return
        write_text(self._folder / _ORIGIN, self._origin)
        path = _path(self._folder, name, number)
        write_bytes(path, lambda file: np.savez(file, allow_pickle=False, **block))
        self._saved = time.monotonic()

    def remove(self) -> None:
        """Removes all blocks; what they were kept for is done."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def _path(folder: Path, name: str, number: int) -> Path:
    return folder / f"{name.replace(' ', '_')}_{number:05d}.npz"


KEEP_NOTHING = Unfinished(None)
