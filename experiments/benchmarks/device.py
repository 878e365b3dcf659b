"""Measures the device at hand: training, populations, AnoGAN's search, memory, maps, PyTorch.

python experiments/benchmarks/device.py --output experiments/results/benchmark_device.json
python experiments/benchmarks/device.py --preset smoke --jobs 1 --latents 16     # to try it

Made for an accelerator, where it takes under ten minutes. Every case has a process of its own; some
(`--jobs`) compile at the same time, then each is timed with the device to itself; a figure is a
median. Data are noise: neither weights nor pixels change the work. What had not compiled by
`--patience` seconds is left out, and the result says so.
"""

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple
from unittest import mock

from device_kinds import KINDS, Case

SYSTEMS = (
    "ganomaly,sencebgan,anogan,bigan,alad,skip_ganomaly,ebgan,encebgan,ali,fanogan,autoencoder"
)
COMPARED = ("ganomaly", "anogan", "ebgan")
"""Systems whose populations and convolutions are compared."""

MAPPED = ("recommended", "ganomaly")
"""Systems whose scoring is measured, at the size `small`, which `recommended` is used with."""

MEMBERS = (3, 8)
BATCHES = (256, 1024)
CHUNKS = (256, 0, 8192)
APART = 1.0
"""Seconds between two starts: of several processes that open a GPU at once some may find none."""


def cases_of(preset: str, systems: Sequence[str], latents: int) -> list[Case]:
    """All cases, the longest to compile first."""
    cases = [Case("training", preset, system) for system in systems]
    for system in COMPARED:
        cases += [Case("training", preset, system, members=members) for members in MEMBERS]
        cases += [Case("training", preset, system, "matmul", members) for members in (1, *MEMBERS)]
    cases += [Case("training", preset, "anogan", steps=steps) for steps in (1, 10)]
    cases += [
        Case("search", preset, latents=latents, together=latents // part, precision=precision)
        for part in (1, 4, 16)
        for precision in ("float32", "bfloat16")
    ]
    cases += [Case("matmul"), Case("torch", preset, latents=latents // 4)]
    # Last, so that what a short time leaves out is how memory grows.
    cases += [
        Case("training", preset, system, patches=patches)
        for system in COMPARED
        for patches in BATCHES
    ]
    cases += [
        Case("scoring", "small" if preset == "thesis" else preset, system, patches=patches)
        for system in MAPPED
        for patches in CHUNKS
    ]
    return cases


def work(case: Case) -> None:
    """A worker: compiles, says so, waits for its turn, times."""
    from semad.utils import backend

    plan = backend.plan()
    if case.convolution:
        plan = plan._replace(convolution=case.convolution, narrow_convolution=case.convolution)
    with mock.patch.object(backend, "plan", lambda: plan):
        compiled, measure = KINDS[case.kind](case)
    print("compiled", flush=True)
    sys.stdin.readline()
    print(json.dumps(case._asdict() | compiled | measure()), flush=True)


class Worker(NamedTuple):
    """The process of a case, and what it says on its second stream."""

    case: Case
    process: subprocess.Popen[str]
    errors: IO[str]


def start(case: Case) -> Worker:
    """Starts the process of a case."""
    environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # read when the process has ended
    process = subprocess.Popen(
        [sys.executable, __file__, "--case", json.dumps(case)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )
    return Worker(case, process, errors)


def finish(worker: Worker, deadline: float) -> dict[str, Any]:
    """Has a worker time what it compiled; what it wrote, or else its last error."""
    case, process, errors = worker
    last = ""
    if process.poll() is None and time.monotonic() < deadline:
        last, _ = process.communicate("go\n")
    process.kill()
    # A process that fails while it is timed has said "compiled" and nothing else.
    if (lines := last.strip().splitlines()) and lines[-1].startswith("{"):
        return json.loads(lines[-1])
    errors.seek(0)
    said = errors.read().strip().splitlines()
    return case._asdict() | {"failed": said[-1] if said else "out of time"}


def run_all(cases: list[Case], jobs: int, patience: float) -> Iterator[dict[str, Any]]:
    """Compiles `jobs` cases at a time, then times one after another."""
    deadline = time.monotonic() + patience
    for first in range(0, len(cases), jobs):
        workers = []
        for case in cases[first : first + jobs]:
            workers.append(start(case))
            time.sleep(APART)
        for worker in workers:  # all have compiled before the first is timed
            select.select([worker.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        for worker in workers:
            yield finish(worker, deadline)


def main() -> None:
    """All cases, a line each; JSON where `--output` says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--preset", default="thesis")
    parser.add_argument("--systems", default=SYSTEMS)
    parser.add_argument("--latents", type=int, default=4096)
    parser.add_argument("--only", default=",".join(KINDS), help="kinds of cases")
    parser.add_argument("--jobs", type=int, default=6, help="cases that compile at the same time")
    parser.add_argument("--patience", type=float, default=500.0, help="seconds for all")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        work(Case(*json.loads(given.case)))
        return
    from semad.utils.versions import versions

    report: dict[str, Any] = {"preset": given.preset, "cases": [], "versions": versions()}
    cases = cases_of(given.preset, given.systems.split(","), given.latents)
    cases = [case for case in cases if case.kind in given.only.split(",")]
    for row in run_all(cases, given.jobs, given.patience):
        report["cases"].append(row)
        print(json.dumps(row), flush=True)
        if given.output:
            given.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
