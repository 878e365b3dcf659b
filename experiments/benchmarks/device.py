"""Measures the device at hand: training, populations, AnoGAN's search, memory, PyTorch beside it.

python experiments/benchmarks/device.py --output experiments/results/benchmark_device.json
python experiments/benchmarks/device.py --preset smoke --jobs 1 --latents 16     # to try it

Made for an accelerator, where it takes under ten minutes. Every case has a process of its own. All
compile at the same time, then each is timed with the device to itself; a figure is a median. Data
are noise: neither weights nor pixels change the work. What had not compiled by `--patience` seconds
is left out, and the result says so.
"""

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import IO, Any, NamedTuple
from unittest import mock

SYSTEMS = (
    "ganomaly,sencebgan,anogan,bigan,alad,skip_ganomaly,ebgan,encebgan,ali,fanogan,autoencoder"
)
COMPARED = ("ganomaly", "anogan", "ebgan")
"""Systems whose populations and convolutions are compared."""

MEMBERS = (3, 8)
ROUNDS = 5
NANOTWICE_TILES, PUBLISHED_STEPS = 103_320, 500
SEARCH_STEPS = 20


class Case(NamedTuple):
    """What a process measures.

    Attributes:
      kind: `training`, `search`, `matmul` or `torch`.
      preset: of the config; the size of the networks.
      system: name of a config.
      convolution: one of `semad.nets.conv.IMPLEMENTATIONS`, "" for the plan's.
      members: of a population, vmapped.
      steps: per dispatch, 0 for the plan's.
      latents: of a search, how many it is given; half or all of them move together.
      together: of a search.
      precision: of a search.
    """

    kind: str
    preset: str = "thesis"
    system: str = ""
    convolution: str = ""
    members: int = 1
    steps: int = 0
    latents: int = 0
    together: int = 0
    precision: str = "float32"


Timed = tuple[dict[str, Any], Callable[[], dict[str, Any]]]
"""What compiling showed, and a call that times."""


def cases_of(preset: str, systems: Sequence[str], latents: int) -> list[Case]:
    """All cases, the longest to compile first."""
    cases = [Case("training", preset, system) for system in systems]
    for system in COMPARED:
        cases += [Case("training", preset, system, members=members) for members in MEMBERS]
        cases += [Case("training", preset, system, "matmul", members) for members in (1, *MEMBERS)]
    cases += [Case("training", preset, "anogan", steps=steps) for steps in (1, 10)]
    cases += [
        Case("search", preset, latents=latents, together=latents // part, precision=precision)
        for part in (1, 4)
        for precision in ("float32", "bfloat16")
    ]
    return [*cases, Case("matmul"), Case("torch", preset, latents=latents // 4)]


def training(case: Case) -> Timed:
    """Every phase of a system."""
    from population import make_trainer

    from semad.config.overrides import named
    from semad.run.prepare import prepare
    from semad.utils import backend

    data = ["data.name=nanofibres", "data.train_images=4", "data.test_images=2"]
    run = prepare(named(case.system, case.preset, data))
    steps = case.steps or backend.plan().steps_per_dispatch
    trainers = [
        make_trainer(run, case.members, True, steps, phase) for phase in range(len(run.phases))
    ]
    compiled = {
        "compile_seconds": [round(trainer.compile_seconds, 1) for trainer in trainers],
        "bytes": [trainer.bytes for trainer in trainers],
        "phases": [phase.name for phase, _, _ in run.phases],
        "phase_steps": [end - start for _, start, end in run.phases],
    }

    def measure() -> dict[str, Any]:
        rounds = [[trainer.call() for _ in range(ROUNDS + 1)][1:] for trainer in trainers]
        return {"milliseconds": [round(1e3 * median(times) / steps, 3) for times in rounds]}

    return compiled, measure


def search(case: Case) -> Timed:
    """AnoGAN's published search, at fewer steps: its cost is linear in them."""
    import jax
    import numpy as np

    from semad.config.overrides import named
    from semad.run.state import init_population
    from semad.run.system import build, scoring_state
    from semad.scoring.batched import make_scorer

    overrides = ["search.recipe=published", f"search.steps={SEARCH_STEPS}"]
    overrides += [f"search.together={case.together}", f"search.precision={case.precision}"]
    system = build(named("anogan", case.preset, overrides))
    size = system.settings.data.patch_size
    state = scoring_state(system, init_population(system.method, system.seeds), 0)
    patches = np.random.default_rng(0).integers(0, 256, (case.latents, size, size, 1), np.uint8)
    scorer = make_scorer(system.method)
    start = time.perf_counter()
    jax.block_until_ready(scorer(state, patches))
    compiled = {"first_seconds": round(time.perf_counter() - start, 1)}

    def measure() -> dict[str, Any]:
        def once() -> float:
            start = time.perf_counter()
            jax.block_until_ready(scorer(state, patches))
            return time.perf_counter() - start

        per_step = median(once() for _ in range(3)) / case.latents / SEARCH_STEPS
        memory = jax.devices()[0].memory_stats() or {}
        return {
            "milliseconds": round(1e3 * per_step, 6),
            "peak_bytes": memory.get("peak_bytes_in_use", 0),
            "nanotwice_seconds": round(per_step * NANOTWICE_TILES * PUBLISHED_STEPS, 1),
        }

    return compiled, measure


def matmul(case: Case) -> Timed:
    """A plain product of 8192² (2048² on a CPU): what the device gives at most."""
    del case
    import jax
    import jax.numpy as jnp

    size = 2048 if jax.default_backend() == "cpu" else 8192

    def rate(dtype: Any, precision: str | None) -> float:
        a, b = (jax.random.normal(jax.random.key(seed), (size, size), dtype) for seed in (0, 1))
        multiply = jax.jit(lambda a, b: jnp.matmul(a, b, precision=precision))
        jax.block_until_ready(multiply(a, b))
        times = []
        for _ in range(11):
            start = time.perf_counter()
            jax.block_until_ready(multiply(a, b))
            times.append(time.perf_counter() - start)
        return round(2 * size**3 / median(times) / 1e12, 1)

    def measure() -> dict[str, Any]:
        return {
            "teraflop_per_second": {
                "float32": rate(jnp.float32, None),
                "float32, highest": rate(jnp.float32, "highest"),
                "bfloat16": rate(jnp.bfloat16, None),
            }
        }

    return {"size": size}, measure


def torch_peer(case: Case) -> Timed:
    """AnoGAN's step and search in PyTorch, eager, TensorFloat-32 as XLA takes it."""
    import torch
    from peers import make_peer
    from peers.anogan import anogan_search

    from semad.config.overrides import named
    from semad.run.system import build

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_default_device(device)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    system = build(named("anogan", case.preset))
    latent, count = system.settings.model.latent_dim, system.settings.train.batch_size
    peer, searched = (make_peer(system.settings, system.method) for _ in range(2))
    batches = [(torch.rand(count, 1, 32, 32), torch.randn(count, latent))]
    find = anogan_search(searched.nets, torch.randn(1, latent), SEARCH_STEPS)
    images = torch.rand(case.latents, 1, 32, 32)

    def seconds(work: Callable[[], Any], repeats: int) -> float:
        def settle() -> None:
            if device == "cuda":
                torch.cuda.synchronize()

        for _ in range(3):
            work()
        times = []
        for _ in range(ROUNDS):
            settle()
            start = time.perf_counter()
            for _ in range(repeats):
                work()
            settle()
            times.append((time.perf_counter() - start) / repeats)
        return median(times)

    def measure() -> dict[str, Any]:
        per_image = seconds(lambda: find(images), 1) / case.latents / SEARCH_STEPS
        return {
            "device": device,
            "training_milliseconds": round(1e3 * seconds(lambda: peer.step(batches), 20), 3),
            "search_milliseconds": round(1e3 * per_image, 6),
        }

    return {}, measure


KINDS = {"training": training, "search": search, "matmul": matmul, "torch": torch_peer}


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
    if lines := last.strip().splitlines():
        return json.loads(lines[-1])
    errors.seek(0)
    said = errors.read().strip().splitlines()
    return case._asdict() | {"failed": said[-1] if said else "out of time"}


def run_all(cases: list[Case], jobs: int, patience: float) -> Iterator[dict[str, Any]]:
    """Compiles `jobs` cases at a time, then times one after another."""
    deadline = time.monotonic() + patience
    for first in range(0, len(cases), jobs):
        workers = [start(case) for case in cases[first : first + jobs]]
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
