"""All systems under one protocol with equal budgets, beside baselines that learn nothing or little.

python experiments/compare.py --systems bigan,ganomaly,autoencoder --workdir runs/compare \\
    --budget steps=1000 --seeds 3 data.name=nanofibres
python experiments/compare.py --workdir runs/compare --budget seconds=120,parameters=500000

Each system trains in `<workdir>/<system>`, from `configs/<system>.py:<preset>` with the overrides
that follow the flags; what is there already is not done again. `--budget` makes steps, training
time or parameters alike (`semad.sweeps.budget`); without one the presets' own stay. All systems are
scored by one protocol and rule: where presets differ in them (the convolutional ones score pixels),
an override has to say which. Writes table.md, ranking.png and report.json into
`<workdir>/comparison/`, and with `--record` the report into `experiments/results/`.

The reference is the strongest of the baselines that learn nothing, known by the test labels: that
is unfair to the systems, not to it. Systems that were scored on other items (AnoGAN's preset scores
a subset) are compared with the baselines on these items, and marked †.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections
import numpy as np
from paths import LEDGER, RESULTS

from semad import commandline, plots
from semad.config.overrides import named, override
from semad.data import sources
from semad.errors import UserError
from semad.evaluation.compared import read_baselines, read_metrics, read_variants
from semad.evaluation.learned_baselines import learned_baselines
from semad.evaluation.protocols import resolve_protocol
from semad.methods import METHODS
from semad.metrics.ranking import metric_names
from semad.metrics.statistics import ComparedSystem, compare, verdict, weighted_metrics
from semad.reports import comparison
from semad.run.prepare import prepare
from semad.run.system import build
from semad.sweeps import budget
from semad.sweeps.run_if_missing import publish, rounded, run_if_missing
from semad.utils.files import write_text

BUDGET = "budget.json"
RULES = ("threshold_rule", "threshold_rate", "pixel_rate")
"""Of `config.score`, what all systems of a ranking have in common."""


class Ran(NamedTuple):
    """A system that was trained and evaluated.

    Attributes:
      name: of its config.
      config: with the budget.
      folder: of its evaluation.
    """

    name: str
    config: ml_collections.ConfigDict
    folder: Path


def main() -> None:
    """Runs what is missing, and ranks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--systems", default=",".join(METHODS), help="files in configs/; all")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--budget", default="", help="steps=N | seconds=T, and parameters=P")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--record", help="keep the report as results/compare_<name>.json")
    parser.add_argument("overrides", nargs="*", help="<key>=<value> for all configs")
    arguments = parser.parse_args()
    commandline.setup_logging()
    with commandline.one_line_errors():
        made = {"command": " ".join(["python", *sys.argv])} | report(arguments)
        files = {
            "table.md": comparison.markdown(made),
            "report.json": json.dumps(made, indent=1) + "\n",
        }
        folder = publish(arguments.workdir / "comparison", files)
        plots.forest(folder / "ranking.png", made["rows"], "auroc", made["reference"])
        if arguments.record:
            path = RESULTS / f"compare_{arguments.record}.json"
            write_text(path, json.dumps(rounded(made), indent=1) + "\n")
        print(f"{files['table.md']}\n{made['verdict']}\ntable and figure: {folder}")


def allowance(text: str) -> dict[str, float]:
    """`steps=1000,parameters=5e5` as a budget.

    Raises:
      UserError: for anything else.
    """
    found = {}
    for part in filter(None, text.split(",")):
        kind, _, value = part.partition("=")
        try:
            found[kind] = float(value)
        except ValueError:
            found[""] = 0.0
    if found.keys() - set(budget.KINDS):
        raise UserError(
            f"--budget is {text!r}; it must be like steps=1000 or seconds=60,parameters=500000"
        )
    return found


def report(arguments: argparse.Namespace) -> dict[str, Any]:
    """Rows of all systems and baselines, the highest AUROC first."""
    ran = [
        Ran(name, config, run_if_missing(arguments.workdir / name, config, ledger=LEDGER))
        for name, config in settle(arguments).items()
    ]
    groups: dict[bytes, list[Ran]] = {}
    for one in ran:
        groups.setdefault(_items(one.folder), []).append(one)
    largest = max(groups.values(), key=lambda group: read_metrics(group[0].folder)["n_test"])
    reference = max(read_baselines(largest[0].folder), key=_auroc).name
    rows, sentences = [], []
    for group in groups.values():
        fixed = read_baselines(group[0].folder) + learned_baselines(prepare(group[0].config))
        own = [read_variants(one.folder)[0]._replace(name=one.name) for one in group]
        found = compare([*own, *fixed], reference)
        about = {one.name: _about(one) | {"elsewhere": group is not largest} for one in group}
        systems = [row | about[row["name"]] for row in found if row["name"] in about]
        rows += systems + [row for row in found if row["name"] not in about and group is largest]
        sentences.append(verdict(systems, reference))
    result = read_metrics(largest[0].folder)
    return {
        "dataset": result["dataset"],
        "protocol": result["protocol"],
        "preset": arguments.preset,
        "budget": allowance(arguments.budget),
        "seeds": arguments.seeds,
        "overrides": arguments.overrides,
        "n_test": result["n_test"],
        "n_anomalous": result["n_anomalous"],
        "reference": reference,
        "verdict": " ".join(sentences),
        "rows": sorted(rows, key=lambda row: -row["auroc"]["mean"]),
        "versions": result["versions"],
    }


def settle(arguments: argparse.Namespace) -> dict[str, ml_collections.ConfigDict]:
    """The configs of all systems, with the budget, fit for one ranking.

    Raises:
      UserError: when they would be scored by different rules, or the workdir has another budget.
    """
    found, kept = {}, _stored(arguments)
    for name in arguments.systems.split(","):
        config = named(name, arguments.preset, arguments.overrides)
        config.population.seeds = arguments.seeds
        if config.population.tricks != "none" or config.population.points:
            raise UserError(
                "systems are compared without tricks and points; see ablation and sweep"
            )
        if name in kept["fitted"]:
            # Measured again, the time of a step would give another number of epochs.
            config = override(config, kept["fitted"][name])
        found[name] = config
    _check_alike(found)
    for name, config in found.items():
        if name not in kept["fitted"]:
            found[name] = budget.fit(config, allowance(arguments.budget))
            kept["fitted"][name] = budget.fitted_overrides(found[name])
            write_text(arguments.workdir / BUDGET, json.dumps(kept, indent=1) + "\n")
    return found


def _stored(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the workdir's systems were given, by its first call."""
    asked = {
        "budget": arguments.budget,
        "preset": arguments.preset,
        "seeds": arguments.seeds,
        "overrides": sorted(arguments.overrides),
    }
    path = arguments.workdir / BUDGET
    if not path.is_file():
        return asked | {"fitted": {}}
    stored = json.loads(path.read_text())
    for key, value in asked.items():
        if stored[key] != value:
            raise UserError(
                f"{arguments.workdir} holds a comparison with {key} {stored[key]!r}, not "
                f"{value!r}; give another --workdir"
            )
    return stored


def _check_alike(found: dict[str, ml_collections.ConfigDict]) -> None:
    systems = {name: build(config) for name, config in found.items()}
    source = sources.load(next(iter(systems.values())).settings.data)
    rules: dict[str, dict[Any, list[str]]] = {}
    for name, system in systems.items():
        settings, convolutional = system.settings, system.method.convolutional
        protocol = resolve_protocol(settings.eval.protocol, source, convolutional)
        own = {"eval.protocol": protocol, "select": settings.select}
        own |= {f"score.{key}": getattr(settings.score, key) for key in RULES}
        if protocol != "pixel":
            own["data.patch_size"] = settings.data.patch_size
        for key, value in own.items():
            rules.setdefault(key, {}).setdefault(value, []).append(name)
    for key, values in rules.items():
        if len(values) > 1:
            parts = "; ".join(f"{value}: {', '.join(names)}" for value, names in values.items())
            raise UserError(f"the systems differ in {key} ({parts}); add {key}=... for all of them")


def _about(one: Ran) -> dict[str, Any]:
    result = read_metrics(one.folder)
    return {
        "score": result["score"],
        "smoothing": result["config"]["score"]["smoothing"],
        "parameters": budget.parameters(one.config),
        "steps": prepare(one.config).total_steps,
        "training_seconds": result["training_seconds"] / len(result.get("members", [result])),
        "n_test": result["n_test"],
    }


def _auroc(system: ComparedSystem) -> float:
    (one,) = system.binned
    values = weighted_metrics(one, np.ones(one.normal.shape[0]))
    return values[metric_names().index("auroc")]


def _items(folder: Path) -> bytes:
    """What tells apart sets of test items; maps are of whole images."""
    with np.load(folder / "scores.npz", allow_pickle=False) as arrays:
        return (arrays["items"] if "items" in arrays else arrays["image_ids"]).tobytes()


if __name__ == "__main__":
    main()
