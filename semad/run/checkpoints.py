"""Checkpoints of the whole TrainState, by Orbax; the only file that touches it.

A checkpoint holds the population stacked along its leading axis, whatever the backend that
trained it, so that it can be restored on any other. Beside what Orbax writes lies a manifest with
the checksums of its files: what differs from it is never restored.

Of several processes that train together all call what is here, since each writes what its devices
have. The first one says what there is: a shared file system shows the others its files late.
"""

import logging
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from semad.errors import CannotWrite, UserError, out_of_memory
from semad.types import TrainState
from semad.utils import collective, hosts
from semad.utils.files import sync_tree
from semad.utils.quiet import quietly
from semad.utils.sealed import damage, has_manifest, write_manifest

_log = logging.getLogger(__name__)

_LISTINGS = 20
"""How often checkpoints are listed anew when training removes them while they are read."""

_TALKATIVE = ("absl", "asyncio")
"""Loggers by which Orbax says what it raises as well."""


class Damaged(NamedTuple):
    """A checkpoint that cannot be restored, and why."""

    step: int
    why: str


class NoneSound(UserError):
    """There are checkpoints, and none of them can be restored."""


class Restored(NamedTuple):
    """The newest sound state, and the damaged checkpoints that are newer."""

    state: TrainState
    step: int
    damaged: list[Damaged]


class Checkpoints:
    """The checkpoints of one workdir while it trains, oldest removed first; a context manager."""

    def __init__(self, workdir: Path, name: str = "checkpoints", keep: int = 2) -> None:
        """Opens the folder `name` of a workdir; `keep` is how many of the newest stay.

        Raises:
          CannotWrite: when it cannot be made.
        """
        self._folder = (workdir / name).absolute()
        options = ocp.CheckpointManagerOptions(
            preservation_policy=checkpoint_managers.LatestN(keep),
            enable_async_checkpointing=False,
            cleanup_tmp_directories=True,
        )
        with quietly(*_TALKATIVE) as failed:
            self._manager = ocp.CheckpointManager(self._folder, options=options)
        if failed.error:
            raise CannotWrite(f"{self._folder}: no folder for checkpoints ({failed.error})")

    def __enter__(self) -> "Checkpoints":
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Waits for what is being written."""
        with quietly(*_TALKATIVE, after_error=error is not None) as failed:
            self._manager.close()
            del self._manager  # it holds on to errors that nobody retrieved
        if failed.error and not error:
            raise CannotWrite(f"{self._folder}: checkpoints are not closed ({failed.error})")

    def latest(self) -> int | None:
        """The step of the newest checkpoint, or None."""
        return collective.from_first(next(iter(steps(self._folder)), None))

    def save(self, state: TrainState, step: int | None = None) -> None:
        """Writes the population's state under its step, unless that is there already.

        Newer ones are removed: a run that goes on from an older state has left them.

        Args:
          state: stacked over the members, on the devices of all processes or on each one's own.
          step: the name of the checkpoint, where the members' own steps differ.

        Raises:
          CannotWrite: when it cannot be written; the older checkpoints stay.
        """
        step = int(state.step[0]) if step is None else step
        if step == self.latest():
            return
        with quietly(*_TALKATIVE) as failed:
            listed = collective.from_first(steps(self._folder))
            for newer in (number for number in listed if number > step):
                self._manager.delete(newer)
            everywhere = collective.place(state, collective.everywhere())
            self._manager.save(step, args=ocp.args.StandardSave(everywhere), force=True)
            self._manager.wait_until_finished()
            if hosts.writes():
                sync_tree(self._folder / str(step))
                write_manifest(self._folder / str(step))
        if failed.error:
            raise CannotWrite(
                f"{self._folder}: the checkpoint of step {step} cannot be written; check space and "
                f"access, then run the same command again ({failed.error})"
            )

    def restore(self, like: Any) -> TrainState:
        """The newest sound state, on this process' first device; newer damaged ones are set aside.

        Args:
          like: a tree of shapes and dtypes, of `jax.eval_shape`.

        Raises:
          UserError: see `restore` of this module.
        """
        restored = restore(self._folder, like)
        for step, why in restored.damaged if hosts.writes() else ():
            aside = _set_aside(self._folder / str(step))
            _log.warning(
                "the checkpoint of step %d is damaged (%s); it is now %s, and training goes on "
                "from step %d",
                *(step, why, aside, restored.step),
            )
        collective.wait()
        self._manager.reload()
        return restored.state

    def set_aside(self) -> None:
        """Renames all checkpoints, so that none of them is the latest any more."""
        for step in steps(self._folder) if hosts.writes() else ():
            _set_aside(self._folder / str(step))
        collective.wait()
        self._manager.reload()


def steps(folder: Path) -> list[int]:
    """The steps of the checkpoints in a folder, newest first."""
    if not folder.is_dir():
        return []
    names = [path.name for path in folder.iterdir() if path.name.isdecimal()]
    return sorted((int(name) for name in names if str(int(name)) == name), reverse=True)


def remove_after(folder: Path, step: int) -> None:
    """Removes the checkpoints of later steps."""
    for later in (number for number in steps(folder) if number > step):
        shutil.rmtree(folder / str(later))


def restore(folder: Path, like: Any) -> Restored:
    """The newest sound state, on this process' first device; nothing in the folder is changed.

    Checkpoints that training removes in the meantime are no fault: the newer ones are taken.

    Args:
      folder: with checkpoints.
      like: a tree of shapes and dtypes, of `jax.eval_shape`.

    Raises:
      UserError: when there is no checkpoint, or one that does not fit.
      NoneSound: when all are damaged.
    """
    place = collective.everywhere()
    target = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), like
    )
    for _ in range(_LISTINGS):
        damaged: list[Damaged] = []
        listed = collective.from_first(steps(folder))
        for step in listed:
            path = folder / str(step)
            try:
                why = collective.from_first(_damage(path) if hosts.writes() else None)
                if why is None:
                    return Restored(collective.local(_read(path, target)), step, damaged)
            except FileNotFoundError:
                break  # removed in the meantime
            except _Unreadable as error:
                why = str(error)
            if collective.from_first(steps(folder)) != listed:
                break  # removed, or half of it may be
            damaged.append(Damaged(step, why))
        else:
            raise _none_sound(folder, damaged)
    raise UserError(f"{folder}: its checkpoints change faster than they can be read; try again")


def _damage(path: Path) -> str | None:
    """What is wrong with a checkpoint, if anything; it may have been removed."""
    try:
        return damage(path)
    except FileNotFoundError:
        return "it is gone"


class _Unreadable(Exception):
    """A checkpoint without a manifest that Orbax cannot restore."""


def _read(path: Path, target: Any) -> TrainState:
    with quietly(*_TALKATIVE) as failed, ocp.StandardCheckpointer() as reader:
        return reader.restore(path.absolute() / "default", target)
    if not path.is_dir():
        raise FileNotFoundError(path)
    if out_of_memory(failed.error):
        raise MemoryError(failed.error)
    if has_manifest(path):
        raise UserError(
            f"{path}: the checkpoint does not fit the workdir's config, though it is as it was "
            f"written; restore the run's own config.json ({failed.error})"
        )
    raise _Unreadable(failed.error)


def _none_sound(folder: Path, damaged: list[Damaged]) -> UserError:
    if not damaged:
        return UserError(f"{folder}: no checkpoint to restore; train first (--mode train)")
    named = "; ".join(f"{step}: {why}" for step, why in damaged)
    return NoneSound(
        f"{folder}: no checkpoint is sound, or it does not fit the workdir's config ({named}); "
        "restore the folder from a copy, or train in a new --workdir"
    )


def _set_aside(path: Path) -> Path:
    aside, number = path.with_name(f"damaged-{path.name}"), 1
    while aside.exists():
        aside, number = path.with_name(f"damaged-{path.name}.{number}"), number + 1
    return path.rename(aside)
