"""What a run writes while it trains: log.jsonl, TensorBoard, samples.gif, a progress bar."""

import json
import math
from pathlib import Path
from types import TracebackType

import jax
import numpy as np
from PIL import Image
from tensorboardX import SummaryWriter
from tqdm import tqdm

from semad.utils.files import write_text

_FRAMES = "samples"  # folder of the pictures that samples.gif is made of
_FRAME_MS = 400


def training_seconds(workdir: Path) -> float | None:
    """Seconds that a workdir's run has trained, compilation included; None without a log."""
    path = workdir / "log.jsonl"
    if not path.is_file():
        return None
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return round(sum(line["seconds"] for line in lines), 2)


class Log:
    """The log of one workdir, continued where a restored run goes on; a context manager."""

    def __init__(self, workdir: Path, step: int, total: int) -> None:
        """Opens the log; lines of a lost stretch behind `step` are dropped, it is run again."""
        self._path = workdir / "log.jsonl"
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        kept = [line for line in lines if _step(line) <= step]
        write_text(self._path, "".join(f"{line}\n" for line in kept))
        self._workdir = workdir
        for frame in (workdir / _FRAMES).glob("*.png"):
            if int(frame.stem) > step:
                frame.unlink()
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
        self,
        phase: str,
        step: int,
        epoch: int,
        terms: dict[str, np.ndarray],
        images: int,
        seconds: float,
    ) -> None:
        """One line: means over the stretch since the last, one number per member.

        Args:
          phase: its name.
          step: steps done, over all phases.
          epoch: epochs done in this phase.
          terms: name -> (members,).
          images: trained on in that stretch, over all members.
          seconds: that it took.
        """
        numbers = {name: _plain(value) for name, value in sorted(terms.items())}
        line = {"phase": phase, "step": step, "epoch": epoch} | numbers
        speed = images / seconds
        line |= {"images_per_second": round(speed, 2), "seconds": round(seconds, 3)}
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
        """Rows of pictures (N, P, P, C) in [0, 1]; samples, or reconstructions, are kept."""
        rows = {}
        for name, batch in pictures.items():
            rows[name] = np.concatenate(list(np.asarray(batch)), axis=1)
            self._board.add_image(name, rows[name], step, dataformats="HWC")
        kept = rows.get("samples", rows.get("reconstructions"))
        if kept is not None:
            frame = Image.fromarray(np.round(255 * kept.squeeze()).astype(np.uint8))
            (self._workdir / _FRAMES).mkdir(exist_ok=True)
            frame.save(self._workdir / _FRAMES / f"{step:08d}.png")

    def animate(self) -> None:
        """Makes samples.gif of the pictures kept so far."""
        paths = sorted((self._workdir / _FRAMES).glob("*.png"))
        frames = [Image.open(path) for path in paths]
        if frames:
            first, rest, path = frames[0], frames[1:], self._workdir / "samples.gif"
            first.save(path, save_all=True, append_images=rest, duration=_FRAME_MS, loop=0)


def _step(line: str) -> float:
    """The step of a line; a line cut short by a kill belongs to no step."""
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError):
        return math.inf


def _plain(value: np.ndarray) -> float | list[float]:
    numbers = [float(f"{single:.6g}") for single in value]
    return numbers[0] if len(numbers) == 1 else numbers
