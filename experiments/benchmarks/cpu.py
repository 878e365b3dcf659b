"""Times AnoGAN's training step and latent search on a CPU, against PyTorch on the same layers.

python experiments/benchmarks/cpu.py --width 1.0 --output experiments/results/benchmark_cpu.json

Both frameworks run in one process, in turns, with the same number of threads; a figure is a median
over the rounds. Needs the extra `bench`. Compare shares of the measured matmul ceiling and ratios
to PyTorch, not seconds. Memory that the C library hands out anew in small pages costs a fifth of
the time; `GLIBC_TUNABLES=glibc.malloc.hugetlb=1` in the environment avoids it for both sides.
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
from typing import NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch_peer import torch_nets, torch_search, torch_train_step

from semad.config.settings import resolve
from semad.configs import anogan
from semad.data.patches import PaddedImages, PatchSampling, stack
from semad.methods import METHODS
from semad.run.state import init_population, member, split
from semad.training.step import Average, Program, make_program, phase_step
from semad.types import Method
from semad.utils import backend

BATCH = 64
SEARCH_STEPS = 20
LATENT = 256


class Case(NamedTuple):
    """Something to time: it returns when it is done.

    Attributes:
      name: unique.
      run: does `units` training steps, or search steps times images.
      units: how many.
      flops: floating-point operations of one unit, from the layers.
    """

    name: str
    run: Callable[[], None]
    units: int
    flops: float


def network_flops(width: float) -> tuple[float, float]:
    """Floating-point operations of one image through generator and discriminator, forward."""
    c = [round(width * count) for count in (512, 512, 256, 128, 64)]
    taps = 16 * (16 * c[0] * c[1] + 64 * c[1] * c[2] + 256 * c[2] * c[3])
    generator = LATENT * 16 * c[0] + taps + 1024 * 25 * c[3]
    discriminator = 16 * (256 * c[4] + 64 * c[4] * c[3] + 16 * c[3] * c[2]) + 16 * c[2]
    return 2.0 * generator, 2.0 * discriminator


def step_flops(width: float) -> float:
    """One step: G forward once for both updates, then backward; D on real, generated, for G."""
    generator, discriminator = network_flops(width)
    return BATCH * (3 * generator + 8 * discriminator)


def search_flops(width: float) -> float:
    """One image and step: forward and the gradient of z."""
    return 2 * sum(network_flops(width))


# semad


def make_method(width: float) -> Method:
    """AnoGAN of the thesis at a width, with a short search."""
    config = anogan.get_config("thesis")
    config.model.width = width
    config.search.recipe, config.search.steps = "published", SEARCH_STEPS
    config.train.encoder_epochs = 0
    return METHODS["anogan"](resolve(config))


def make_step(method: Method) -> tuple[Program, PaddedImages]:
    """The training step of one member, and images of noise to train on."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 256, 256, 1), np.uint8)
    sampling = PatchSampling(32, 1024, BATCH, flips=True)
    averaged = Average(0.999, 0.025)
    return phase_step(method, method.phases[0], 0, sampling, averaged), stack(list(pixels))


def train_case(
    name: str, width: float, steps: int = 1, members: int = 1, together: bool = True
) -> Case:
    """Training steps of a population by the program that training itself runs."""
    method = make_method(width)
    step, data = make_step(method)
    program = make_program(step, steps)
    hparams = {key: jnp.full((members,), value) for key, value in method.hparams.items()}
    size = members if together else 1
    groups = split(init_population(method, list(range(members))), size)
    rates = split(hparams, size)

    def run() -> None:
        for number, (state, rate) in enumerate(zip(groups, rates, strict=True)):
            groups[number], _ = program(state, data, rate)
        jax.block_until_ready(groups)

    return Case(name, run, steps * members, step_flops(width))


def single_case(name: str, width: float) -> Case:
    """The same step compiled without the population axis."""
    method = make_method(width)
    step, data = make_step(method)
    program = jax.jit(step, donate_argnums=0)
    hparams = {key: jnp.float32(value) for key, value in method.hparams.items()}
    states = [member(init_population(method, [0]), 0)]

    def run() -> None:
        states[0], _ = program(states[0], data, hparams)
        jax.block_until_ready(states)

    return Case(name, run, 1, step_flops(width))


def search_case(name: str, width: float, images: int) -> Case:
    """The whole scoring of some images at once."""
    method = make_method(width)
    state = init_population(method, [0])
    weights = jax.tree.map(lambda leaf: leaf[0], state.weights)
    hparams = {key: jnp.float32(value) for key, value in method.hparams.items()}
    score = jax.jit(lambda weights, x, key: method.score(method.bind(weights), x, key, hparams)[0])
    x = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (images, 32, 32, 1)), jnp.float32)

    def run() -> None:
        jax.block_until_ready(score(weights, x, jax.random.key(0)))

    return Case(name, run, SEARCH_STEPS * images, search_flops(width))


def native(case: Callable[[str], Case], name: str) -> Case:
    """A case with `lax`'s own convolutions; they are chosen while its first run is traced."""
    made = case(name)
    plan = backend.CPU._replace(convolution="native")

    def run() -> None:
        with mock.patch.object(backend, "CPU", plan):
            made.run()

    return made._replace(run=run)


# PyTorch


def torch_train_case(name: str, width: float) -> Case:
    """The usual eager step."""
    return Case(name, torch_train_step(width, LATENT, BATCH), 1, step_flops(width))


def torch_search_case(name: str, width: float, images: int) -> Case:
    """A batched search with frozen weights."""
    search = torch_search(torch_nets(width, LATENT), torch.randn(1, LATENT), SEARCH_STEPS)
    x = torch.rand(images, 1, 32, 32)
    return Case(name, lambda: search(x), SEARCH_STEPS * images, search_flops(width))


# Timing


def ceiling_case(name: str) -> Case:
    """A plain matmul of 2048²: what the machine gives at most."""
    a = jnp.ones((2048, 2048))
    multiply = jax.jit(jnp.matmul)
    return Case(name, lambda: jax.block_until_ready(multiply(a, a)), 1, 2.0 * 2048**3)


def make_cases(width: float, wanted: list[str]) -> list[Case]:
    """The cases of those names, or all; only what is wanted is built, for it takes memory."""
    train, single = partial(train_case, width=width), partial(single_case, width=width)
    makers: dict[str, Callable[[str], Case]] = {
        "matmul 2048": ceiling_case,
        "train: torch": partial(torch_train_case, width=width),
        "train: matmul": train,
        "train: matmul, no population axis": single,
        "train: matmul, 10 steps a dispatch": partial(train, steps=10),
        "train: matmul, 4 members vmapped": partial(train, members=4),
        "train: matmul, 4 members one by one": partial(train, members=4, together=False),
        "train: native": partial(native, train),
    }
    for images in (1, 16, 64):
        peer = partial(torch_search_case, width=width, images=images)
        search = partial(search_case, width=width, images=images)
        makers[f"search {images}: torch"] = peer
        makers[f"search {images}: matmul"] = search
        makers[f"search {images}: native"] = partial(native, search)
    if unknown := sorted(set(wanted) - makers.keys()):
        raise SystemExit(f"no case {unknown[0]!r}; there are: {'; '.join(makers)}")
    return [make(name) for name, make in makers.items() if not wanted or name in wanted]


def measure(cases: list[Case], rounds: int, patience: float) -> list[dict[str, float | str]]:
    """Times all cases in turns; one that has run for `patience` seconds sits the rest out."""
    first = {case.name: _seconds(case) for case in cases}
    times: dict[str, list[float]] = {case.name: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            if sum(times[case.name]) < patience:
                times[case.name].append(_seconds(case))
    rows = []
    for case in cases:
        seconds = median(times[case.name]) / case.units
        rows.append(
            {
                "case": case.name,
                "ms_per_unit": 1e3 * seconds,
                "gflop_per_s": case.flops / seconds / 1e9,
                "runs": len(times[case.name]),
                "first_run_s": first[case.name],
            }
        )
    return rows


def _seconds(case: Case) -> float:
    start = time.perf_counter()
    case.run()
    return time.perf_counter() - start


def main() -> None:
    """Prints one line per case, and writes JSON where `--output` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=float, default=1.0, help="1.0: thesis, 0.25: small")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--patience", type=float, default=60.0, help="seconds per case")
    parser.add_argument("--only", default="", help="names of cases, by semicolons")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()

    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    wanted = [name.strip() for name in arguments.only.split(";") if name]
    cases = make_cases(arguments.width, wanted)
    rows = measure(cases, arguments.rounds, arguments.patience)
    for row in rows:
        print("{case:38} {ms_per_unit:10.2f} ms {gflop_per_s:7.1f} GFLOP/s".format(**row))
    if arguments.output:
        machine = {"processor": platform.processor() or platform.machine(), "threads": threads}
        versions = {"jax": jax.__version__, "torch": torch.__version__}
        setting = {"width": arguments.width, "glibc": os.environ.get("GLIBC_TUNABLES", "")}
        result = {"machine": machine, "versions": versions, "setting": setting, "rows": rows}
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
