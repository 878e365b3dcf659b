"""What long work has scored so far, kept on disk: a kill loses a minute of it at most."""

import glob
import logging
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from semad.errors import CannotWrite, UserError
from semad.utils import collective, hosts
from semad.utils.arrays import read_arrays, write_arrays
from semad.utils.files import write_text

_log = logging.getLogger(__name__)

Block = dict[str, np.ndarray]

_EVERY = 60.0
"""Seconds between saves; work that takes less, and is not stopped, leaves nothing on disk."""
_ORIGIN = "origin"


class Kept(NamedTuple):
    """Blocks in their order, and how many items they are of."""

    blocks: list[Block]
    length: int


class Unfinished:
    """Blocks of arrays, appended under a name and read in the same order by the call that goes on.

    Scores of a patch do not depend on the call that it came in, so what goes on from blocks ends as
    if nothing had been stopped. Of several processes the first has the folder, and gives the others
    what it holds.
    """

    def __init__(
        self,
        folder: Path | None,
        origin: str = "",
        every: float | None = None,
        required: bool = True,
    ) -> None:
        """Keeps the blocks of the same origin that are there, and removes others.

        Args:
          folder: for the blocks, made when the first is saved; None keeps none.
          origin: of what the scores are made: weights, settings, data.
          every: seconds between saves; None for a minute.
          required: whether a folder that cannot be written to is an error.
        """
        folder = folder if hosts.writes() else None
        self._folder, self._origin, self._required = folder, origin, required
        self._every = _EVERY if every is None else every
        self._saved = time.monotonic()
        if folder and folder.exists() and _read_text(folder / _ORIGIN) != origin:
            shutil.rmtree(folder, ignore_errors=True)

    def read(self, name: str) -> Kept:
        """The blocks appended under this name, up to the first that is missing or damaged."""
        blocks: list[Block] = []
        count = 0
        while self._folder and (kept := _load(self._folder, name, count)):
            block, length = kept
            blocks.append(block)
            count += length
        number, count = collective.from_first([len(blocks), count])
        blocks += [{}] * (number - len(blocks))
        return Kept([collective.gather(block)[0] for block in blocks], count)

    def due(self) -> bool:
        """Whether so much time has passed since the last save that another one is worth it."""
        return self._folder is not None and time.monotonic() - self._saved > self._every

    def append(self, name: str, first: int, count: int, block: Block) -> None:
        """Saves a block, when `due`, or when the work is stopped.

        Args:
          name: of the work.
          first: how many items the blocks before it are of.
          count: how many items it is of.
          block: its arrays, by name.

        Raises:
          CannotWrite: on a full disk and the like, if the blocks are required.
        """
        if self._folder is None or not count:
            return
        path = self._folder / f"{_stem(name)}_{first:08d}_{count:08d}.npz"
        try:
            write_text(self._folder / _ORIGIN, self._origin)
            write_arrays(path, block, compress=False)
        except CannotWrite:
            if self._required:
                raise
            self._folder = None
        self._saved = time.monotonic()

    def remove(self) -> None:
        """Removes all blocks; what they were kept for is done."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def _load(folder: Path, name: str, first: int) -> tuple[Block, int] | None:
    """The block that starts at this item, with its length."""
    for path in sorted(folder.glob(f"{glob.escape(_stem(name))}_{first:08d}_*.npz"), reverse=True):
        try:
            return read_arrays(path), int(path.stem.rpartition("_")[2])
        except (UserError, ValueError) as error:
            _log.warning("%s; it is computed again", error)
    return None


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return None


def _stem(name: str) -> str:
    return name.replace(" ", "_")


KEEP_NOTHING = Unfinished(None)
