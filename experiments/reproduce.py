"""Runs all that docs/reproduction.md shows, one run after another, and records the figures.

python experiments/reproduce.py tiles --workdir runs/reproduction --data-dir data/nanotwice
python experiments/reproduce.py contributions --workdir runs/reproduction --data-dir data/nanotwice
python experiments/reproduce.py items --workdir runs/reproduction --data-dir data/tfds

`tiles`: every system on NanoTWICE's tiles, three seeds. `contributions`: GANomaly and SENCEBGAN
with one choice at a time as it was before the finished thesis was followed, one seed. `items`: each
of the ten classes of MNIST or Fashion-MNIST as the normal one, one seed; AnoGAN with its search as
published too, on a seeded subset.

What is trained and evaluated already is not done again, so the same command goes on after a stop.
With `--preset thesis` the same are the thesis' own budgets, for an accelerator. Overrides at the
end hold for all runs:

python experiments/reproduce.py tiles --preset thesis --systems sencebgan \\
    --workdir runs/reproduction --data-dir data/nanotwice population.seeds=1 \\
    train.epochs=10 train.encoder_epochs=10 train.return_epochs=40 train.validate_every=4000

A result is named after the preset all the same; its steps stand beside it in the table.

Tables 51 to 55 are `experiments/ablation.py`.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import reproduction
import results
from paths import LEDGER

from semad.commandline import one_line_errors, setup_logging
from semad.config.overrides import named
from semad.config.settings import resolve
from semad.methods import METHODS
from semad.sweeps.run_if_missing import run_if_missing

SYSTEMS = (*reproduction.SYSTEMS, "ali", "fanogan", "autoencoder")
"""The thesis' rows first."""

PUBLISHED = ("anogan", "alad", "ganomaly", "skip_ganomaly", "bigan", "ali")
"""Systems whose papers have figures of one class against the rest."""

PUBLISHED_SEARCH = ("search.recipe=published", "eval.max_items=500")
"""A search of 500 steps for 10,000 items of each of ten classes would take two cores a day."""

CURVE = ("train.validation=planted_tiles", "train.validate_every=400")
CONTRIBUTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "ganomaly": {
        "range": ("data.normalisation=range",),
        "mean_loss": ("loss.reduction=mean",),
        "raw": ("score.weights=raw",),
    },
    "sencebgan": {
        "range": ("data.normalisation=range",),
        "embeddings": ("loss.encoder_objective=embeddings",),
        "raw": ("score.weights=raw",),
    },
}
"""System -> what is changed -> overrides. Fewer steps are the preset `small`."""


class Run(NamedTuple):
    """One run.

    Attributes:
      name: of the result, and of its folder.
      system, preset: of the config.
      overrides: of its values.
      trained: the name of the run that trains, where this one scores alone.
    """

    name: str
    system: str
    preset: str
    overrides: tuple[str, ...]
    trained: str = ""


def searches(system: str, preset: str) -> bool:
    """Whether scoring is a search."""
    return METHODS[system](resolve(named(system, preset))).searches


def tiles(systems: list[str], preset: str) -> Iterator[Run]:
    """Every system, three seeds, with a learning curve where scoring is not a search."""
    for system in systems:
        overrides = ("population.seeds=3", *(() if searches(system, preset) else CURVE))
        yield Run(f"nanotwice_{system}_{preset}", system, preset, overrides)


def contributions(preset: str) -> Iterator[Run]:
    """The rows of the ablation, one seed."""
    for system, changes in CONTRIBUTIONS.items():
        rows = {"all": (), **changes}
        for name, overrides in rows.items():
            run = f"contribution_{system}_{name}_{preset}"
            again = overrides and all(change.startswith("score.") for change in overrides)
            trained = f"contribution_{system}_all_{preset}" if again else ""
            yield Run(run, system, preset, (*CURVE, *overrides), trained)
        if preset != "small":
            yield Run(f"contribution_{system}_steps_small", system, "small", ())


def items(
    systems: list[str], dataset: str, preset: str, labels: Sequence[int] = range(10)
) -> Iterator[Run]:
    """Classes of a data set, one seed."""
    for system in systems:
        for label in labels:
            overrides = (f"data.name=tfds:{dataset}", f"data.normal_class={label}")
            name = f"{dataset}{label}_{system}_{preset}"
            yield Run(name, system, preset, overrides)
            if searches(system, preset):
                yield Run(
                    f"{dataset}{label}_{system}_published_{preset}",
                    system,
                    preset,
                    (*overrides, *PUBLISHED_SEARCH),
                    name,
                )


def complete(run: Run, workdir: Path, data_dir: str, overrides: list[str]) -> None:
    """Trains and evaluates a run unless it is done, and records it."""
    last = (*overrides, f"data.dir={data_dir}", "eval.purpose=reproduction of the thesis")
    config = named(run.system, run.preset, (*run.overrides, *last))
    trained, output = workdir / (run.trained or run.name), workdir / run.name
    folder = run_if_missing(trained, config, output, ledger=LEDGER)
    command = f"python experiments/reproduce.py {' '.join(sys.argv[1:])}"
    results.record(folder / "metrics.json", run.name, command)


def numbers(text: str) -> list[int]:
    """`3,4` as a list."""
    return [int(part) for part in text.split(",")]


def main() -> None:
    """Runs what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("what", choices=("tiles", "contributions", "items"))
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--systems", help="names from configs/, with commas; by default all")
    parser.add_argument("--preset", help="medium; of items small")
    parser.add_argument("--dataset", default="mnist", choices=("mnist", "fashion_mnist"))
    parser.add_argument("--classes", type=numbers, default=range(10), help="of items, with commas")
    parser.add_argument("overrides", nargs="*", help="<key>=<value> for all runs")
    given = parser.parse_intermixed_args()  # overrides follow options
    setup_logging()
    preset = given.preset or ("small" if given.what == "items" else "medium")
    systems = (given.systems or ",".join(PUBLISHED if given.what == "items" else SYSTEMS)).split(
        ","
    )
    with one_line_errors():
        runs = {
            "tiles": lambda: tiles(systems, preset),
            "contributions": lambda: contributions(preset),
            "items": lambda: items(systems, given.dataset, preset, given.classes),
        }[given.what]()
        for run in runs:
            complete(run, given.workdir, given.data_dir, given.overrides)


if __name__ == "__main__":
    main()
