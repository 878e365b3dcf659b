"""What a population costs: the time of 8 members over that of 1, and the time to compile them.

python experiments/benchmarks/population.py --output experiments/results/benchmark_population.json

For each system a training step of 1, 2, 4 and 8 members, vmapped in one program and one by one, all
in one process and interleaved, medians; on an accelerator several steps per dispatch, as in
training. Compilation is that of the program for so many members, without the persistent cache.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import jax

from semad.commandline import one_line_errors
from semad.config.overrides import named
from semad.config.settings import with_values
from semad.run.population import population, population_hparams
from semad.run.prepare import Run, prepare
from semad.run.state import init_population, split
from semad.training.placement import placement
from semad.training.step import average, make_orders, make_program, phase_step
from semad.utils import backend
from semad.utils.files import write_text
from semad.utils.versions import versions

MEMBERS = (1, 2, 4, 8)
REPEATS = 7


class Trainer(NamedTuple):
    """A compiled training program, ready to be timed.

    Attributes:
      call: trains one dispatch of all members and returns its seconds.
      compile_seconds: that compiling it took.
      bytes: that a dispatch of a group holds at once, as the compiler plans it; 0 if it is silent.
    """

    call: Callable[[], float]
    compile_seconds: float
    bytes: int


def make_trainer(run: Run, members: int, together: bool, steps: int, phase: int = 0) -> Trainer:
    """The training program of one phase.

    Args:
      run: of the system.
      members: of the population.
      together: vmapped in one program, or one after the other.
      steps: per dispatch.
      phase: its place in the method's phases.
    """
    chosen, first_step, _ = run.phases[phase]
    size = members if together else 1
    placed = placement(backend.plan(), run.method, size, run.settings.train.batch_size)
    averaged = average(run.settings.train)
    step = phase_step(run.method, chosen, first_step, run.sampling, averaged, placed.share)
    states = init_population(run.method, list(range(members)))
    groups = [placed.put(group) for group in split(states, size)]
    settings = with_values(run.settings, {"population.seeds": members})
    hparams = population_hparams(settings, run.method, population(settings))
    rows = [placed.put(row) for row in split(hparams, size)]
    images = placed.put_images(run.train)
    count = run.train.pixels.shape[0]
    # Of the first steps alone: later ones find the last of these epochs, which costs as much.
    draw = make_orders(chosen, first_step, run.sampling, count, steps, placed.state)
    orders = [draw(group) for group in groups]
    start = time.perf_counter()
    made = make_program(step, steps, placed.state, placed.images)
    program = made.lower(groups[0], images, rows[0], orders[0]).compile()
    compiled = time.perf_counter() - start
    memory = program.memory_analysis()
    held = (memory.argument_size_in_bytes + memory.temp_size_in_bytes) if memory else 0

    def call() -> float:
        begin = time.perf_counter()
        for number, own in enumerate(rows):
            groups[number], _ = program(groups[number], images, own, orders[number])
        jax.block_until_ready(groups)
        return time.perf_counter() - begin

    return Trainer(call, compiled, held)


def measure(system: str, preset: str, overrides: list[str]) -> list[dict[str, Any]]:
    """The cases of one system."""
    run = prepare(named(system, preset, overrides))
    steps = backend.plan().steps_per_dispatch
    kinds = [(members, together) for members in MEMBERS for together in (True, False)]
    kinds.remove((1, False))
    made = {kind: make_trainer(run, *kind, steps) for kind in kinds}
    seconds: dict[tuple[int, bool], list[float]] = {kind: [] for kind in kinds}
    for _ in range(REPEATS + 1):  # the first dispatch compiles
        for kind, trainer in made.items():
            seconds[kind].append(trainer.call())
    one = median(seconds[1, True][1:])
    return [
        {
            "method": system,
            "members": members,
            "together": together,
            "milliseconds": round(1e3 * median(seconds[members, together][1:]) / steps, 2),
            "ratio": round(median(seconds[members, together][1:]) / one, 2),
            "compile_seconds": round(made[members, together].compile_seconds, 1),
        }
        for members, together in kinds
    ]


def main() -> None:
    """All systems, a line per case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", default="anogan,bigan,alad,ganomaly,skip_ganomaly")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--output", type=Path)
    parser.add_argument("overrides", nargs="*", default=["data.name=nanofibres"])
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    say = partial(print, flush=True)
    with one_line_errors():
        for system in arguments.systems.split(","):
            for row in measure(system, arguments.preset, arguments.overrides):
                rows.append(row)
                how = "together" if row["together"] else "one by one"
                say(
                    f"{system:<14} {row['members']} {how:<11} {row['milliseconds']:9.1f} ms, "
                    f"{row['ratio']:5.2f} of one; compiled in {row['compile_seconds']:5.1f} s"
                )
    if arguments.output:
        report = {
            "command": "python experiments/benchmarks/population.py",
            "preset": arguments.preset,
            "overrides": arguments.overrides,
            "cores": len(os.sched_getaffinity(0)),
            "machine": platform.processor() or platform.machine(),
            "cases": rows,
            "versions": versions(),
        }
        write_text(arguments.output, json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
