"""All systems under one protocol with equal budgets, beside baselines that learn nothing or little.

python experiments/compare.py --systems bigan,ganomaly,autoencoder --workdir runs/compare \\
    --budget steps=1000 --seeds 3 data.name=nanofibres
python experiments/compare.py --workdir runs/compare --budget seconds=120,parameters=500000

Each system trains in `<workdir>/<system>`, from `configs/<system>.py:<preset>` with the overrides
that follow the flags; what is there already is not done again. `--budget` makes steps, training
time or parameters alike (`semad.budget`); without one the presets' own stay. Writes table.md,
ranking.png and report.json into the workdir, and with `--record` the report into
`experiments/results/`.

The reference is the strongest of the baselines that learn nothing, known by the test labels: that
is unfair to the systems, not to it. Systems that were scored on other items (AnoGAN's preset scores
a subset) are compared with the baselines on these items, and marked †.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from semad import backend, budget, campaign, experiment, launch
from semad import config as configs
from semad.errors import UserError
from semad.evaluation import entries, figures, learned_baselines, pixels, statistics
from semad.evaluation.items import choose_items
from semad.evaluation.protocols import resolve, subset
from semad.evaluation.statistics import Entry, compare, tally, tally_bins, verdict
from semad.evaluation.validator import rank, try_on
from semad.experiment import Experiment
from semad.files import write_text
from semad.methods import METHODS
from semad.overrides import ROOT, named
from semad.reports import comparison
from semad.scoring.batched import score_items
from semad.scoring.maps import cover, map_images, smooth
from semad.scoring.thresholds import threshold

FREE = ("brightness", "contrast", "local minimum")


def main() -> None:
    """Runs what is missing, and ranks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", default=",".join(METHODS), help="files in configs/; all")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--budget", default="", help="steps=N | seconds=T, and parameters=P")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--record", help="keep the report as results/compare_<name>.json")
    parser.add_argument("overrides", nargs="*", help="<key>=<value> for all configs")
    arguments = parser.parse_args()
    launch.setup_logging()
    with launch.one_line_errors():
        allowance = _allowance(arguments.budget)
        made = report(arguments, allowance) | {"command": " ".join(["python", *sys.argv])}
        write_text(arguments.workdir / "table.md", comparison.markdown(made))
        write_text(arguments.workdir / "report.json", json.dumps(made, indent=1) + "\n")
        figures.forest(arguments.workdir / "ranking.png", made["rows"], "auroc", made["reference"])
        if arguments.record:
            path = ROOT / "experiments" / "results" / f"compare_{arguments.record}.json"
            write_text(path, json.dumps(campaign.rounded(made), indent=1) + "\n")
        print(comparison.markdown(made) + "\n" + made["verdict"])


def _allowance(text: str) -> dict[str, float]:
    parts = dict(part.split("=", 1) for part in text.split(",") if "=" in part)
    if len(parts) != len([part for part in text.split(",") if part]) or parts.keys() - set(
        budget.KINDS
    ):
        raise UserError(
            f"--budget is {text!r}; it must be like steps=1000 or seconds=60,parameters=500000"
        )
    return {key: float(value) for key, value in parts.items()}


def report(arguments: argparse.Namespace, allowance: dict[str, float]) -> dict[str, Any]:
    """Rows of all systems and baselines, the highest AUROC first."""
    groups: dict[bytes, list[tuple[Entry, Path]]] = {}
    runs: dict[bytes, Experiment] = {}
    about: dict[str, dict[str, Any]] = {}
    for name in arguments.systems.split(","):
        workdir = arguments.workdir / name
        config = _config(name, arguments, allowance, workdir)
        folder = campaign.complete(workdir, config)
        (own,) = entries.variants(folder)
        result = entries.read(folder)
        key = _items(folder)
        runs.setdefault(key, experiment.prepare(config))
        groups.setdefault(key, []).append((own._replace(name=name), folder))
        about[name] = {
            "score": result["score"],
            "smoothing": result["config"]["score"]["smoothing"],
            "parameters": budget.parameters(config),
            "steps": result["step"],
            "training_seconds": result["training_seconds"] / len(own.tallies),
            "n_test": result["n_test"],
            "subset": result["n_test"] < result["n_available"],
        }
    rows, sentences = [], []
    largest = max(groups, key=lambda key: about[groups[key][0][0].name]["n_test"])
    for key, pairs in groups.items():
        fixed = entries.baselines(pairs[0][1]) + _learned(runs[key])
        reference = max((one for one in fixed if one.name in FREE), key=_auroc).name
        found = compare([*(entry for entry, _ in pairs), *fixed], reference)
        rows += [row for row in found if row["name"] in about or key == largest]
        sentences.append(verdict([row for row in found if row["name"] in about], reference))
        if key == largest:
            chosen = reference
    for row in rows:
        row |= about.get(row["name"], {})
    _, example = groups[largest][0]
    result = entries.read(example)
    return {
        "dataset": result["dataset"],
        "protocol": result["protocol"],
        "preset": arguments.preset,
        "budget": allowance,
        "seeds": arguments.seeds,
        "overrides": arguments.overrides,
        "n_test": result["n_test"],
        "n_anomalous": result["n_anomalous"],
        "reference": chosen,
        "verdict": " ".join(sentences),
        "rows": sorted(rows, key=lambda row: -row["auroc"]["mean"]),
        "versions": result["versions"],
    }


def _auroc(entry: Entry) -> float:
    (one,) = entry.tallies
    return statistics.figures(one, np.ones(one.normal.shape[0]))[0]


def _config(
    name: str, arguments: argparse.Namespace, allowance: dict[str, float], workdir: Path
) -> ml_collections.ConfigDict:
    config = named(name, arguments.preset, arguments.overrides)
    config.population.seeds = arguments.seeds
    if not (workdir / "config.json").is_file():
        return budget.fit(config, allowance)
    # Measured again, the time of a step would give another number of epochs.
    stored = configs.load(workdir)
    config.model.width = stored.model.width
    for key in budget.EPOCHS:
        own = key.split(".")[1]
        if own in stored.train:
            config.train[own] = stored.train[own]
    return config


def _items(folder: Path) -> bytes:
    """What tells apart sets of test items; maps are of whole images."""
    with np.load(folder / "scores.npz", allow_pickle=False) as arrays:
        return (arrays["items"] if "items" in arrays else arrays["image_ids"]).tobytes()


def _learned(run: Experiment) -> list[Entry]:
    """PCA and k-means on the same items or maps."""
    config = run.config
    size, settings = config.data.patch_size, config.score
    images = [np.asarray(image) for image in run.source.train]
    scorer = learned_baselines.fit(images, size, config.seed)
    if resolve(config.eval.protocol, run.source, run.method.convolutional) == "pixel":
        return _learned_maps(run, scorer)
    items = choose_items(run)
    chunk = settings.chunk or backend.plan().score_chunk
    test, normal = (
        score_items(scorer, None, *part, patch_size=size, chunk=chunk).values
        for part in ((run.source.test, items.test.items), (run.holdout.images, items.holdout))
    )
    places = np.unique(items.test.items[:, 0], return_inverse=True)[1]
    found = []
    for name, scores in test.items():
        limit = threshold(settings.threshold_rule, settings.threshold_rate, normal[name], scores)
        one = tally(scores, items.test.labels, places, limit)
        found.append(Entry(name, [one], fixed=True))
    return found


def _learned_maps(run: Experiment, scorer: Any) -> list[Entry]:
    config, covered = run.config, cover(run.config, run.method)
    chosen = subset(len(run.source.test), config.eval.max_items, config.seed)
    images, masks = ([part[i] for i in chosen] for part in (run.source.test, run.source.masks))

    def mapper(images: list[np.ndarray]) -> Any:
        return map_images(scorer, None, images, covered)

    sigmas = dict.fromkeys(learned_baselines.SCORES, config.score.smoothing)
    if config.select != "none":
        ranked = rank(try_on(mapper, run.holdout.images, config.seed))
        for one in reversed(ranked):
            sigmas[one.setting.score] = one.setting.smoothing
    test, normal = list(mapper(images)), list(mapper(run.holdout.images))
    found = []
    for name, sigma in sigmas.items():
        maps, held = ([smooth(one[name], sigma) for one in part] for part in (test, normal))
        counts = pixels.count(maps, masks)
        values = [np.concatenate([one.ravel() for one in part]) for part in (held, maps)]
        limit = threshold(config.score.threshold_rule, config.score.pixel_rate, *values)
        one = tally_bins(counts.normal, counts.anomalous, counts.edges, limit)
        found.append(Entry(name, [one], fixed=True))
    return found


if __name__ == "__main__":
    main()
