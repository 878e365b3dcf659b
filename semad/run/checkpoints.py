"""Checkpoints of the whole TrainState, by Orbax; the only file that touches it.

A checkpoint holds the population stacked along its leading axis, whatever the backend that
trained it, so that it can be restored on any other.
"""

from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from semad.errors import UserError
from semad.types import TrainState


class Checkpoints:
    """The checkpoints of one workdir, oldest removed first; a context manager."""

    def __init__(self, workdir: Path, name: str = "checkpoints", keep: int = 2) -> None:
        """Opens the folder `name` of a workdir; `keep` is how many of the newest stay."""
        self._folder = (workdir / name).absolute()
        options = ocp.CheckpointManagerOptions(
            preservation_policy=checkpoint_managers.LatestN(keep),
            enable_async_checkpointing=False,
        )
        self._manager = ocp.CheckpointManager(self._folder, options=options)

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
        self._manager.close()

    def latest(self) -> int | None:
        """The step of the newest whole checkpoint, or None."""
        return self._manager.latest_step()

    def save(self, state: TrainState, step: int | None = None) -> None:
        """Writes the population's state under its step, unless that is there already.

        Args:
          state: stacked over the members.
          step: the name of the checkpoint, where the members' own steps differ.

        Raises:
          UserError: when it cannot be written; the older checkpoints stay.
        """
        step = int(state.step[0]) if step is None else step
        if step == self.latest():
            return
        try:
            self._manager.save(step, args=ocp.args.StandardSave(state))
            self._manager.wait_until_finished()
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(
                f"{self._folder}: the checkpoint of step {step} cannot be written; check space and "
                f"access, then run the same command again ({_first_line(error)})"
            ) from error

    def restore(self, like: Any) -> TrainState:
        """The newest state, on this process' first device.

        Args:
          like: a tree of shapes and dtypes, of `jax.eval_shape`.

        Raises:
          UserError: when there is no checkpoint, or none that fits.
        """
        step = self.latest()
        if step is None:
            raise UserError(f"{self._folder}: no checkpoint to restore; train first (--mode train)")
        place = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        target = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), like
        )
        try:
            return self._manager.restore(step, args=ocp.args.StandardRestore(target))
        except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
            raise UserError(
                f"{self._folder / str(step)}: the checkpoint does not fit the workdir's config or "
                f"is damaged; remove that folder to go on from an older one ({_first_line(error)})"
            ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
