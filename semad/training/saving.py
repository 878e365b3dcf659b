"""When training saves its state, and what it must not lose."""

import logging
import time
from pathlib import Path

import jax

from semad.errors import UserError
from semad.run.checkpoints import Checkpoints, steps
from semad.run.state import merge
from semad.run.workdir import BEST, CHECKPOINTS
from semad.training.logs import LOG_FILE, read_log
from semad.types import TrainState

_log = logging.getLogger(__name__)


class Timer:
    """Says when so many minutes have passed since the last checkpoint."""

    def __init__(self, minutes: float) -> None:
        """Starts; 0 minutes are never over."""
        self._seconds = 60 * minutes
        self.restart()

    def restart(self) -> None:
        """Counts from now on."""
        self._start = time.monotonic()

    def due(self) -> bool:
        """Whether they have passed."""
        return 0 < self._seconds <= time.monotonic() - self._start


def check_can_go_on(workdir: Path) -> None:
    """Checks that a workdir that was trained in still has a checkpoint.

    Raises:
      UserError: when it has none: training would begin anew, and what there is would be lost.
    """
    if steps(workdir / CHECKPOINTS):
        return
    trained = max((line["step"] for line in read_log(workdir)), default=0)
    if trained or steps(workdir / BEST):
        what = f"{LOG_FILE} has {trained} steps" if trained else f"{BEST}/ has a checkpoint"
        raise UserError(
            f"{workdir}: {what}, but {CHECKPOINTS}/ has none to go on from; restore that folder, "
            f"or train in a new --workdir (or remove {LOG_FILE} and {BEST}/ to begin here anew)"
        )


def rescue(checkpoints: Checkpoints, groups: list[TrainState]) -> None:
    """Saves a finite state when an error ends training; what fails here is told, not raised."""
    try:
        checkpoints.save(merge(groups))
        _log.warning("an error ends training; its state is saved at step %d", groups[0].step[0])
    except Exception as error:
        _log.warning("an error ends training, and its state cannot be saved (%s)", error)


def is_whole(groups: list[TrainState]) -> bool:
    """Whether no step has taken the state's buffers without giving new ones."""
    return not any(leaf.is_deleted() for leaf in jax.tree.leaves(groups))
