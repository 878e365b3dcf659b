"""What a run writes while it trains: `log.jsonl`, TensorBoard, and a progress bar."""

import json
import math
from pathlib import Path
from types import TracebackType

import jax
import numpy as np
from tensorboardX import SummaryWriter
from tqdm import tqdm

from semad.files import write_text


class Log:
    """The log of one workdir, continued where a restored run goes on; a context manager."""

    def __init__(self, workdir: Path, step: int, total: int) -> None:
        """Opens the log; lines of a lost stretch behind `step` are dropped, it is run again."""
        self._path = workdir / "log.jsonl"
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        kept = [line for line in lines if _step(line) <= step]
        write_text(self._path, "".join(f"{line}\n" for line in kept))
        self._board = SummaryWriter(str(workdir / "tensorboard"), purge_step=step + 1)
        self._bar = tqdm(total=total, initial=step, desc="training", unit="step")

    def __enter__(self) -> "Log":
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Flushes and closes."""
        self._bar.close()
        self._board.close()

    def advance(self, steps: int) -> None:
        """Moves the progress bar."""
        self._bar.update(steps)

    def scalars(
        self, phase: str, step: int, epoch: int, terms: dict[str, np.ndarray], speed: float
    ) -> None:
        """One line: means over the stretch since the last, one number per member.

        Args:
          phase: its name.
          step: steps done, over all phases.
          epoch: epochs done in this phase.
          terms: name -> (members,).
          speed: training images per second, over all members.
        """
        numbers = {name: _plain(value) for name, value in sorted(terms.items())}
        line = {"phase": phase, "step": step, "epoch": epoch} | numbers
        line["images_per_second"] = round(speed, 2)
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        for name, value in terms.items():
            for number, single in enumerate(value):
                tag = name if len(value) == 1 else f"{name}/member_{number}"
                self._board.add_scalar(tag, float(single), step)
        self._board.add_scalar("images_per_second", speed, step)
        self._bar.set_postfix_str(
            " ".join(f"{n.split('/')[0]}={v.mean():.3g}" for n, v in terms.items() if "/loss" in n)
        )

    def images(self, step: int, pictures: dict[str, jax.Array]) -> None:
        """Rows of pictures (N, P, P, C) in [-1, 1]."""
        for name, batch in pictures.items():
            row = np.concatenate(list(np.asarray(batch)), axis=1)
            row = np.clip((row + 1) / 2, 0, 1)
            self._board.add_image(name, row, step, dataformats="HWC")


def _step(line: str) -> float:
    """The step of a line; a line cut short by a kill belongs to no step."""
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError):
        return math.inf


def _plain(value: np.ndarray) -> float | list[float]:
    numbers = [float(f"{single:.6g}") for single in value]
    return numbers[0] if len(numbers) == 1 else numbers
