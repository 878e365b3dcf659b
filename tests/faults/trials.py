"""One fault in one run, and the verdict on what it left."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.faults.harness import (
    CHECKPOINT_EVERY,
    Outcome,
    Server,
    arguments,
    checkpoint_steps,
    copy,
    logged_step,
    results,
    write_images,
)


class Reference(NamedTuple):
    """What a mode does without a fault.

    Attributes:
      start: a folder as it is before the mode runs.
      trial: where trials run; the same for all, since some results hold paths.
      results: see `tests.faults.harness.results`.
      events: how many file events, or writes, a fault may be aimed at.
    """

    start: Path
    trial: Path
    results: dict[str, Any]
    events: int


class Verdict(NamedTuple):
    """Of a trial.

    Attributes:
      fault: such as `kill at 17`.
      problem: empty where nothing was lost and everything was said.
      outcome: of the run with the fault.
    """

    fault: str
    problem: str
    outcome: Outcome


class Folders(NamedTuple):
    """Of one system: with images alone, trained and evaluated, and scored as well."""

    fresh: Path
    trained: Path
    scored: Path
    trial: Path


def prepare(server: Server, system: str, base: Path) -> Folders:
    """Trains a system and scores with it; what an earlier call left in `base` goes.

    Raises:
      RuntimeError: where it fails without a fault.
    """
    folders = Folders(*(base / name for name in Folders._fields))
    shutil.rmtree(base, ignore_errors=True)
    write_images(folders.fresh)
    copy(folders.fresh, folders.trial)
    _run(server, system, "train_and_evaluate", folders.trial)
    copy(folders.trial, folders.trained)
    _run(server, system, "score", folders.trial)
    copy(folders.trial, folders.scored)
    return folders


def reference(
    server: Server, system: str, mode: str, start: Path, trial: Path, **job: Any
) -> Reference:
    """Runs a mode without a fault.

    Raises:
      RuntimeError: where it fails.
    """
    outcome = _run(server, system, mode, copy(start, trial), **job)
    return Reference(start, trial, results(trial), outcome.events)


def try_fault(
    server: Server, system: str, mode: str, reference: Reference, fault: str, at: int, **job: Any
) -> Verdict:
    """Runs a mode with a fault, then again without, and compares with the reference."""
    folder, name = copy(reference.start, reference.trial), f"{fault} at {at}"
    argv = arguments(system, mode, folder)
    outcome = server.run(argv, folder, fault=fault, at=at, **job)
    if fault == "kill":
        problem = "" if outcome.code in (0, -9) else f"ends with {outcome.code}"
    else:
        problem = outcome.complaint
    lost = logged_step(folder / "run") - max(checkpoint_steps(folder / "run"), default=0)
    if not problem and lost > CHECKPOINT_EVERY:
        problem = f"{lost} steps lost"
    again = server.run(argv, folder)
    if not problem and (again.code != 0 or again.complaint):
        problem = f"the next call ends with {again.code}: {again.output[-300:]}"
    if not problem:
        # A run that is asked to stop writes a line of the log where it stops.
        besides = {"run/log.jsonl"} if fault.startswith("SIG") else set()
        problem = differences(reference.results, results(folder), besides)
    return Verdict(name, problem, outcome)


def try_flip(
    server: Server, system: str, mode: str, reference: Reference, name: str, draw: Any
) -> Verdict:
    """Flips a bit of one file of a trained folder, and runs a mode on it."""
    folder = copy(reference.start, reference.trial)
    path = folder / name
    content = bytearray(path.read_bytes())
    bit = int(draw.integers(len(content) * 8)) if content else 0
    if content:
        content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    outcome = server.run(arguments(system, mode, folder), folder)
    problem = outcome.complaint
    # A file is named by itself, or by the checkpoint or folder that it is part of.
    named = any(part in outcome.output for part in (path.name, *_checkpoint_of(name)))
    if not problem and not named:
        if outcome.code != 0:
            problem = f"ends with {outcome.code} without its name: {outcome.output[-300:]}"
        else:
            kept = results(folder, damaged=name)
            kind = name.split("/")[1]
            problem = differences(reference.results, kept, {name, kind})
    return Verdict(f"{mode}, bit {bit} of {name}", problem, outcome)


def differences(expected: dict[str, Any], actual: dict[str, Any], besides: Any = ()) -> str:
    """Which results differ, empty if none."""
    names = sorted((expected.keys() | actual.keys()) - set(besides))
    changed = [name for name in names if expected.get(name) != actual.get(name)]
    return f"differ: {', '.join(changed[:5])}" if changed else ""


def spread(events: int, count: int, seed: int = 0) -> list[int]:
    """So many of the events 1, 2, ..., drawn without replacement."""
    draw = np.random.default_rng(seed)
    return sorted(int(n) + 1 for n in draw.permutation(events)[:count])


def _checkpoint_of(name: str) -> list[str]:
    parts = name.split("/")
    return [
        f"{a}/{b}" for a, b in zip(parts, parts[1:], strict=False) if a in ("checkpoints", "best")
    ]


def _run(server: Server, system: str, mode: str, folder: Path, **job: Any) -> Outcome:
    outcome = server.run(arguments(system, mode, folder), folder, **job)
    if outcome.code != 0 or outcome.complaint:
        raise RuntimeError(f"{system} {mode} without a fault: {outcome.output[-2000:]}")
    return outcome
