"""Times AnoGAN's search on a CPU against PyTorch's, and what else `semad.utils.backend` may choose.

python experiments/benchmarks/cpu.py --width 1.0 --output experiments/results/benchmark_cpu.json

Both frameworks run in one process, in turns, with the same number of threads; a figure is a median
over the rounds. Needs the extra `bench`. Compare shares of the measured matmul ceiling and ratios
to PyTorch, not seconds. Memory that the C library hands out anew in small pages costs a fifth of
the time; `GLIBC_TUNABLES=glibc.malloc.hugetlb=1` in the environment avoids it for both sides.
Training steps of more systems against PyTorch: `steps.py`; populations: `population.py`.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import torch
from peers import make_peer
from peers.anogan import anogan_nets, anogan_search
from population import make_trainer
from timing import Case, ceiling_case, machine, measure, work_of

from semad.config.overrides import named
from semad.methods.common import layer_settings
from semad.run.prepare import Run, prepare
from semad.run.state import init_population, member
from semad.utils import backend
from semad.utils.versions import versions

SEARCH_STEPS = 20
DATA = ["data.name=nanofibres", "data.train_images=4", "data.test_images=2", "data.image_size=256"]


def make_run(width: float) -> Run:
    """AnoGAN of the thesis at a width, with a short search."""
    search = ["search.recipe=published", f"search.steps={SEARCH_STEPS}", "train.encoder_epochs=0"]
    return prepare(named("anogan", "thesis", [f"model.width={width}", *search, *DATA]))


# semad


def train_case(name: str, run: Run, steps: int = 1) -> Case:
    """Training steps by the program that training itself runs."""
    pixels = torch.from_numpy(np.moveaxis(np.array(run.train.pixels), -1, 1).copy())
    peer = make_peer(run.settings, run.method)
    batches = peer.draw(pixels)
    trainer = make_trainer(run, members=1, together=True, steps=steps)
    return Case(name, trainer.call, steps, work_of(lambda: peer.step(batches)))


def search_case(name: str, run: Run, images: int) -> Case:
    """The whole scoring of some images at once."""
    method = run.method
    weights = member(init_population(method, [0]), 0).weights
    hparams = {key: jnp.float32(value) for key, value in method.hparams.items()}
    score = jax.jit(lambda weights, x, key: method.score(method.bind(weights), x, key, hparams)[0])
    x = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (images, 32, 32, 1)), jnp.float32)

    def search() -> None:
        jax.block_until_ready(score(weights, x, jax.random.key(0)))

    return Case(name, search, SEARCH_STEPS * images, search_work(run))


def native(case: Callable[[str], Case], name: str) -> Case:
    """A case with `lax`'s own convolutions; they are chosen while it is compiled."""
    plan = backend.CPU._replace(convolution="native", narrow_convolution="native")

    def run() -> None:
        with mock.patch.object(backend, "CPU", plan):
            made.run()

    with mock.patch.object(backend, "CPU", plan):
        made = case(name)
    return made._replace(run=run)


# PyTorch


def torch_search(run: Run, steps: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """A batched search with frozen weights."""
    model = run.settings.model
    nets = anogan_nets(model.latent_dim, layer_settings(model))
    return anogan_search(nets, torch.randn(1, model.latent_dim), steps)


def torch_search_case(name: str, run: Run, images: int) -> Case:
    """The search of some images at once."""
    search, x = torch_search(run, SEARCH_STEPS), torch.rand(images, 1, 32, 32)
    return Case(name, lambda: search(x), SEARCH_STEPS * images, search_work(run))


def search_work(run: Run) -> float:
    """Operations of one image and step: what a search of two steps has more than one of one."""
    image = torch.rand(1, 1, 32, 32)
    one, two = (work_of(partial(torch_search(run, steps), image)) for steps in (1, 2))
    return two - one


def make_cases(run: Run, wanted: list[str]) -> list[Case]:
    """The cases of those names, or all; only what is wanted is built, for it takes memory."""
    train = partial(train_case, run=run)
    makers: dict[str, Callable[[str], Case]] = {
        "matmul 2048": ceiling_case,
        "train: matmul": train,
        "train: matmul, 10 steps a dispatch": partial(train, steps=10),
        "train: native": partial(native, train),
    }
    for images in (1, 16, 64):
        search = partial(search_case, run=run, images=images)
        makers[f"search {images}: torch"] = partial(torch_search_case, run=run, images=images)
        makers[f"search {images}: matmul"] = search
        makers[f"search {images}: native"] = partial(native, search)
    if unknown := sorted(set(wanted) - makers.keys()):
        raise SystemExit(f"no case {unknown[0]!r}; there are: {'; '.join(makers)}")
    return [make(name) for name, make in makers.items() if not wanted or name in wanted]


def main() -> None:
    """Prints one line per case, and writes JSON where `--output` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=float, default=1.0, help="1.0: thesis, 0.25: small")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--patience", type=float, default=60.0, help="seconds per case")
    parser.add_argument("--only", default="", help="names of cases, by semicolons")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(machine()["threads"])
    wanted = [name.strip() for name in given.only.split(";") if name]
    rows = measure(make_cases(make_run(given.width), wanted), given.rounds, given.patience)
    for row in rows:
        print("{case:38} {ms_per_unit:10.2f} ms {gflop_per_s:7.1f} GFLOP/s".format(**row))
    if given.output:
        about = {"machine": machine(), "versions": versions() | {"torch": torch.__version__}}
        result = about | {"width": given.width, "rows": rows}
        given.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
