"""What a run writes while it trains: log.jsonl, TensorBoard, samples.gif, a progress bar."""

import json
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import numpy as np
from PIL import Image
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tqdm import tqdm

from semad.utils import hosts
from semad.utils.files import append_line, write_bytes, write_text

_log = logging.getLogger(__name__)

LOG_FILE = "log.jsonl"
_FRAMES = "samples"  # folder of the pictures that samples.gif is made of
_FRAME_MS = 400


def read_log(workdir: Path) -> list[dict[str, Any]]:
    """The lines of a workdir's log; damaged ones are left out, with a warning."""
    lines, parsed = _lines(workdir / LOG_FILE), []
    for line in lines:
        if (step := _step(line)) < math.inf:
            parsed.append(json.loads(line) | {"step": step})
    if len(parsed) < len(lines):
        _log.warning(
            "%s: %d of %d lines are damaged and are left out",
            *(workdir / LOG_FILE, len(lines) - len(parsed), len(lines)),
        )
    return parsed


def training_seconds(workdir: Path) -> float | None:
    """Seconds that a workdir's run has trained, compilation included; None without a log."""
    if not (workdir / LOG_FILE).is_file():
        return None
    seconds = [line.get("seconds") for line in read_log(workdir)]
    return round(sum(value for value in seconds if isinstance(value, int | float)), 2)


def animate(workdir: Path, replace: bool = True) -> None:
    """Makes samples.gif of the pictures kept so far; damaged ones are left out.

    Raises:
      CannotWrite: on a full disk and the like.
    """
    path = workdir / "samples.gif"
    if path.is_file() and not replace:
        return
    frames = [frame for _, kept in _frames(workdir) if (frame := _open(kept))]
    if not frames:
        return
    first, rest = frames[0], [frame for frame in frames[1:] if frame.size == frames[0].size]
    options = {"save_all": True, "append_images": rest, "duration": _FRAME_MS, "loop": 0}
    write_bytes(path, lambda file: first.save(file, "GIF", **options))


class Log:
    """The log of one workdir, continued where a restored run goes on; a context manager."""

    def __init__(self, workdir: Path, step: int, total: int) -> None:
        """Opens the log; lines of a lost stretch behind `step` are dropped, it is run again."""
        self._path = workdir / LOG_FILE
        lines = _lines(self._path)
        kept = [line for line in lines if _step(line) <= step]
        if kept != lines or not self._path.exists():
            write_text(self._path, "".join(f"{line}\n" for line in kept))
        self._workdir = workdir
        for number, frame in _frames(workdir):
            if number > step and hosts.writes():
                frame.unlink()
        self._board = _Board(workdir / "tensorboard", step + 1)
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

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """The progress bar says so, and leaves the time out of its estimate."""
        self._bar.set_description("compiling")
        try:
            yield
        finally:
            self._bar.set_description("training")
            self._bar.unpause()

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

        Raises:
          CannotWrite: on a full disk and the like.
        """
        numbers = {name: _plain(value) for name, value in sorted(terms.items())}
        line = {"phase": phase, "step": step, "epoch": epoch} | numbers
        speed = images / seconds
        line |= {"images_per_second": round(speed, 2), "seconds": round(seconds, 3)}
        append_line(self._path, json.dumps(line))
        for name, value in terms.items():
            for number, single in enumerate(value):
                tag = name if len(value) == 1 else f"{name}/member_{number}"
                self._board.add(summary.scalar(tag, float(single)), step)
        self._board.add(summary.scalar("images_per_second", speed), step)
        self._bar.set_postfix_str(
            " ".join(f"{n.split('/')[0]}={v.mean():.3g}" for n, v in terms.items() if "/loss" in n)
        )

    def images(self, step: int, pictures: dict[str, jax.Array]) -> None:
        """Rows of pictures (N, P, P, C) in [0, 1]; samples, or reconstructions, are kept.

        Raises:
          CannotWrite: on a full disk and the like.
        """
        rows = {}
        for name, batch in pictures.items():
            rows[name] = np.concatenate(list(np.asarray(batch)), axis=1)
            self._board.add(summary.image(name, rows[name], dataformats="HWC"), step)
        kept = rows.get("samples", rows.get("reconstructions"))
        if kept is not None:
            frame = Image.fromarray(np.round(255 * kept.squeeze()).astype(np.uint8))
            path = self._workdir / _FRAMES / f"{step:08d}.png"
            write_bytes(path, lambda file: frame.save(file, "PNG"))


class _Board:
    """A TensorBoard file, written in this thread: a full disk ends it with a warning, not the run.

    `tensorboardX.SummaryWriter` writes in another, whose end nobody sees until its queue is full.
    """

    def __init__(self, folder: Path, first: int) -> None:
        """Hides what earlier files of the folder say of the steps from `first` on."""
        self._writer: EventsWriter | None = None
        if not hosts.writes():
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = EventsWriter(str(folder / "events"))
        except OSError as error:
            self._end(error)
        self._write(Event(step=first, file_version="brain.Event:2"))
        self._write(Event(step=first, session_log=SessionLog(status=SessionLog.START)))

    def add(self, content: Any, step: int) -> None:
        """Writes a summary of tensorboardX."""
        self._write(Event(step=step, summary=content))

    def close(self) -> None:
        """Flushes and closes."""
        try:
            if self._writer:
                self._writer.close()
        except OSError as error:
            self._end(error)

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        try:
            if self._writer:
                self._writer.write_event(event)
                self._writer.flush()
        except OSError as error:
            self._end(error)

    def _end(self, error: OSError) -> None:
        writer, self._writer = self._writer, None
        if writer:
            with suppress(OSError):
                writer.close()
        _log.warning("no more is written for TensorBoard (%s)", error.strerror or error)


def _lines(path: Path) -> list[str]:
    text = path.read_text(errors="surrogateescape") if path.is_file() else ""
    return [line for line in text.split("\n") if line]


def _step(line: str) -> float:
    """The step of a line; a damaged one, as a kill or a full disk leaves it, belongs to no step."""
    try:
        step = json.loads(line.encode())["step"]  # raises for what is no UTF-8
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return math.inf
    return step if isinstance(step, int) else math.inf


def _frames(workdir: Path) -> list[tuple[int, Path]]:
    """The kept pictures with their steps, in order; other files in their folder do not count."""
    paths = (workdir / _FRAMES).glob("*.png")
    return sorted(
        (int(path.stem), path) for path in paths if path.stem.isdecimal() and path.is_file()
    )


def _open(path: Path) -> Image.Image | None:
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        _log.warning("%s: left out of samples.gif (%s)", path, error)
        return None


def _plain(value: np.ndarray) -> float | list[float]:
    numbers = [float(f"{single:.6g}") for single in value]
    return numbers[0] if len(numbers) == 1 else numbers
