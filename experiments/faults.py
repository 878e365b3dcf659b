"""Attacks semad with faults, and writes down what they broke: the long part of tests/faults.

python experiments/faults.py kills --output faults --count 200
python experiments/faults.py disk | signals | bits | fuzz | all

Records go to experiments/results/faults.json as each system ends. `kills`, `signals`: at file
events drawn over every mode of four systems. `disk`: a file event, and with a C compiler a write of
any kind, fails with ENOSPC or EIO. `bits`: one bit flipped in each file of a workdir and of
results. `fuzz`: see `tests.faults.fuzz`. `python experiments/results.py table` writes the table of
docs/reliability.md.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from fault_table import FILE, KINDS, load
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.faults import fuzz
from tests.faults.harness import SYSTEMS, Server, server
from tests.faults.trials import (
    Folders,
    Verdict,
    prepare,
    reference,
    spread,
    try_fault,
    try_flip,
)

_SIGNALS = ("SIGTERM", "SIGHUP", "SIGINT")
_DISK = ("ENOSPC", "EIO")
_READERS = ("evaluate", "score", "train")
_SHARES = {"train_and_evaluate": 0.4, "evaluate": 0.25, "score": 0.25, "export": 0.1}
"""Of the trials; most of what can be lost is in training."""


def main() -> None:
    """Runs the kinds that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=(*KINDS, "all"))
    parser.add_argument("--output", type=Path, required=True, help="a folder for trials")
    parser.add_argument("--count", type=int, default=200, help="trials; of fuzz 500 times as many")
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--seed", type=int, default=0, help="another one tries other events")
    given = parser.parse_args()
    output, systems = given.output.absolute(), given.systems.split(",")
    for kind in KINDS if given.kind == "all" else (given.kind,):
        if kind == "fuzz":
            _write(kind, f"seed {given.seed}", fuzz.run(given.count * 500, output, given.seed))
        else:
            _attack(kind, output, systems, -(-given.count // len(systems)), given.seed)


def _attack(kind: str, output: Path, systems: list[str], count: int, seed: int) -> None:
    """Writes a record after each system."""
    preload = _compiled(output) if kind == "disk" else None
    with server(output / "cache", preload) as warm:
        for system in systems:
            trials = _trials(kind, warm, system, output / system, count, seed, preload is not None)
            shown = tqdm(trials, f"{kind}, {system}", count, unit="trial")
            _write(kind, f"{system}, seed {seed}", _judged(shown))


def _judged(trials: Iterable[tuple[str, Verdict]]) -> dict[str, Any]:
    modes, problems, slowest = Counter[str](), [], 0.0
    for mode, verdict in trials:
        modes[mode] += 1
        slowest = max(slowest, verdict.outcome.seconds)
        if verdict.problem:
            problems.append({"mode": mode, "fault": verdict.fault, "problem": verdict.problem})
            tqdm.write(f"{problems[-1]}\n{verdict.outcome.output[-1500:]}")
    total = sum(modes.values())
    return {
        "tries": total,
        "survived": total - len(problems),
        "slowest_seconds": slowest,
        "by_mode": dict(modes),
        "problems": problems,
    }


def _trials(
    kind: str, warm: Server, system: str, base: Path, count: int, seed: int, writes: bool
) -> Iterator[tuple[str, Verdict]]:
    folders = prepare(warm, system, base)
    if kind == "bits":
        yield from _flips(warm, system, folders, count, seed)
        return
    faults = {"kills": ("kill",), "signals": _SIGNALS, "disk": _DISK}[kind]
    for mode, share in _SHARES.items():
        start = folders.fresh if mode.startswith("train") else folders.trained
        known = reference(warm, system, mode, start, folders.trial, writes=writes)
        events = spread(known.events, max(1, round(share * count)), seed)
        for number, at in enumerate(events):
            fault = faults[number % len(faults)]
            yield mode, try_fault(warm, system, mode, known, fault, at, writes=writes)


def _flips(
    warm: Server, system: str, folders: Folders, count: int, seed: int
) -> Iterator[tuple[str, Verdict]]:
    """Files drawn from a workdir and from results, read by the modes in turn."""
    draw = np.random.default_rng(seed)
    start = folders.scored
    known = {m: reference(warm, system, m, start, folders.trial) for m in _READERS}
    files = sorted(
        path.relative_to(start).as_posix()
        for folder in ("run", "out")
        for path in (start / folder).rglob("*")
        if path.is_file()
    )
    order = draw.permutation(len(files))
    for number in range(count):
        name = files[order[number % len(files)]]
        mode = "score" if name.startswith("out/") else _READERS[number % len(_READERS)]
        yield mode, try_flip(warm, system, mode, known[mode], name, draw)


def _compiled(output: Path) -> Path | None:
    """The library of disk.c; None without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        print("no C compiler: only what Python opens can fail", file=sys.stderr)
        return None
    output.mkdir(parents=True, exist_ok=True)
    source = Path(__file__).resolve().parent.parent / "tests" / "faults" / "disk.c"
    library = output / "disk.so"
    command = [compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return library


def _write(kind: str, name: str, record: dict[str, Any]) -> None:
    known = load()
    known.setdefault(kind, {})[name] = record
    FILE.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
