"""Times training steps of several systems on a CPU: semad, PyTorch eager, torch.compile.

python experiments/benchmarks/steps.py --output experiments/results/benchmark_steps.json
python experiments/benchmarks/steps.py --systems recommended --output ...  # on two devices
python experiments/benchmarks/steps.py --systems ebgan --widths small --output ...  # a part, anew
python experiments/results.py table                               # the table of docs/performance.md

A step is what training does: 64 patches cut at random from images of nanofibres, flipped and
normalised, for the dense discriminator also spliced; all updates; Adam; the averaged weights. The
cases of a system run in one process, in turns, with the same number of threads; figures are
medians. PyTorch cuts and splices eagerly in both of its cases; torch.compile is given the losses
and the networks in them. Operations are those of the layers, counted by PyTorch, the same for all.
What the output holds of other systems and sizes stays. Needs the extra `bench`, and a C++ compiler
for torch.compile.
"""

import argparse
import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peers import Peer, make_peer
from peers.training import Wrap, eager
from population import make_trainer
from timing import Case, ceiling_case, machine, measure, work_of

from semad.commandline import one_line_errors
from semad.config.overrides import named
from semad.config.settings import resolve
from semad.errors import UserError
from semad.methods import METHODS
from semad.run.prepare import prepare
from semad.utils.cores import split_cpu
from semad.utils.files import write_text
from semad.utils.versions import versions

SYSTEMS = "anogan,bigan,ganomaly,ebgan"
WIDTHS = "small,thesis"
DATA = ["data.name=nanofibres", "data.train_images=4", "data.test_images=2", "data.image_size=256"]
CEILING = "matmul 2048"
PEERS: dict[str, Wrap] = {"torch eager": eager, "torch.compile": torch.compile}


def stepping(peer: Peer, pixels: torch.Tensor) -> Callable[[], None]:
    """A call that draws the batches of a step and trains on them."""

    def run() -> None:
        peer.step(peer.draw(pixels))

    return run


def measure_system(name: str, preset: str, rounds: int, patience: float) -> dict[str, Any]:
    """All cases of one system at one size."""
    torch.compiler.reset()
    run = prepare(named(name, preset, DATA))
    trainer = make_trainer(run, members=1, together=True, steps=1)
    pixels = torch.from_numpy(np.moveaxis(np.array(run.train.pixels), -1, 1).copy())
    steps = {
        label: stepping(make_peer(run.settings, run.method, wrap), pixels)
        for label, wrap in PEERS.items()
    }
    flops = work_of(steps["torch eager"])
    calls = {"semad": trainer.call} | steps
    cases = [Case(label, call, 1, flops) for label, call in calls.items()]
    rows = measure([ceiling_case(CEILING), *cases], rounds, patience)
    return {
        "system": name,
        "preset": preset,
        "width": run.settings.model.width,
        "gflop_per_step": flops / 1e9,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "versions": versions() | {"torch": torch.__version__},
        "rows": rows,
    }


def split_cpu_for(systems: list[str]) -> None:
    """Makes the CPU two devices, as the launcher does, where all systems gain by it.

    Raises:
      UserError: where some do and some do not, for a process has one number of devices.
    """
    configs = [named(name) for name in systems]
    methods = [METHODS[config.method](resolve(config)) for config in configs]
    gain = [method.halves_batch_on_cpu for method in methods]
    if any(gain) and not all(gain):
        raise UserError(
            f"of {', '.join(systems)} some train on two devices of a CPU and some on one; measure "
            "them by two commands"
        )
    if all(gain):
        split_cpu()


def show(result: dict[str, Any]) -> None:
    """A line for each case."""
    head = f"{result['system']:<12} {result['preset']:<8}"
    for row in result["rows"]:
        if "failed" in row:
            print(f"{head} {row['case']:<14} failed: {row['failed']}", flush=True)
            continue
        figures = "{ms_per_unit:9.1f} ms {cpu_ms_per_unit:9.1f} CPU ms {gflop_per_s:7.1f} GFLOP/s"
        print(f"{head} {row['case']:<14} {figures.format(**row)}", flush=True)


def main() -> None:
    """Measures, prints and writes, one system after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--systems", default=SYSTEMS)
    parser.add_argument("--widths", default=WIDTHS, help="presets, whose networks are as wide")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--patience", type=float, default=30.0, help="seconds per case")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(machine()["threads"])
    kept = json.loads(given.output.read_text()) if given.output and given.output.is_file() else []
    results = {(result["system"], result["preset"]): result for result in kept}
    with one_line_errors():
        split_cpu_for(given.systems.split(","))
        for preset in given.widths.split(","):
            for system in given.systems.split(","):
                result = measure_system(system, preset, given.rounds, given.patience)
                results[system, preset] = result
                show(result)
                if given.output:
                    text = json.dumps(list(results.values()), indent=1)
                    write_text(given.output, text + "\n")


if __name__ == "__main__":
    main()
