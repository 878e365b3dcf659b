"""Which system, which score, how smooth? Asked of synthetic defects in normal images.

python experiments/choose.py runs/nanotwice_* --output experiments/results/choice_nanotwice.json
python experiments/choose.py runs/nanotwice_* --truth --purpose "validator against the labels" ...

Every trained run (its first member, its newest checkpoint) is ranked on its held-out normal images
by `semad.selection.validator`, with every score and smoothing. Families of defects that any of the
systems excludes, because it trains on something like them, count for none. `--truth` then compares
the ranking with the labels of the test images, by Spearman's rank correlation, on every fourth
pixel along both axes and on the thesis' tiles, each scored by the maximum of the map inside it: the
validator on trial, not a choice. With NanoTWICE that is a look at its labels for every run, and
goes into the ledger.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from paths import LEDGER
from scipy import stats
from tqdm import tqdm

from semad import pipeline
from semad.commandline import one_line_errors
from semad.config import files
from semad.config.settings import flatten, nest
from semad.data.patches import tile_items
from semad.data.tiles import TILE, subset, tile_labels
from semad.evaluation import ledger
from semad.evaluation.protocols import resolve_protocol
from semad.metrics.ranking import ranking
from semad.run.prepare import Run
from semad.run.system import scoring_state
from semad.run.workdir import restore
from semad.scoring.batched import Scorer, ScoringState, make_scorer
from semad.scoring.maps import Maps, map_images, pool, smooth
from semad.selection.validator import SMOOTHINGS, WEIGHTS, Ranked, rank, try_on
from semad.training.logs import training_seconds
from semad.utils.files import write_text
from semad.utils.versions import versions

EVERY = 4  # pixels, along both axes, that the labels are compared on
FIGURES = ("auroc", "average_precision")


def rows_of(workdir: Path, truth: bool, images: int, purpose: str | None) -> list[dict[str, Any]]:
    """A row per score and smoothing of a run: what the validator says, perhaps what the labels."""
    run = pipeline.prepare_in(workdir, files.load(workdir))
    if truth:
        resolve_protocol("pixel", run.source)
    own = scoring_state(run.system, restore(workdir, run.system), 0)
    scorer = make_scorer(run.method, maps=True)
    mapper = partial(map_images, scorer, own, tiling=run.system.scoring.tiling)
    found = rank(try_on(mapper, run.holdout))
    true = _truth(run, scorer, own, images) if truth else {}
    if truth:
        best = max(true.values(), key=lambda figures: figures["auroc"])
        ledger.note(_look(run, best, images, purpose), LEDGER)
    about = {
        "run": workdir.name,
        "dataset": run.source.name,
        "method": run.method.name,
        "excluded_families": list(run.method.excluded_families),
        "training_seconds": training_seconds(workdir),
    }
    return [about | _row(one) | true.get(tuple(one.setting), {}) for one in found]


def _row(one: Ranked) -> dict[str, Any]:
    return one.setting._asdict() | {"families": {n: round(v, 4) for n, v in one.families.items()}}


def _look(run: Run, best: dict[str, float], images: int, purpose: str | None) -> dict[str, Any]:
    """What the ledger wants to know of a look at all settings of a run at once."""
    why = {"eval.purpose": purpose or "the validator against the labels"}
    return {
        "dataset": run.source.name,
        "method": run.method.name,
        "protocol": "pixel, every setting",
        "seed": run.settings.seed,
        "n_test": images or len(run.source.test),
        "score": "all; the figures are the best",
        "auroc": best["auroc"],
        "average_precision": best["average_precision"],
        "config": nest(flatten(run.settings) | why),
        "versions": versions(),
    }


def _truth(
    run: Run, scorer: Scorer, own: ScoringState, images: int
) -> dict[tuple[str, float], dict[str, float]]:
    """(score, smoothing) -> AUROC and average precision, of pixels and, as `tile_`, of tiles."""
    chosen = subset(len(run.source.test), images, 0)
    tests, masks = ([part[i] for i in chosen] for part in (run.source.test, run.source.masks))
    parts: dict[tuple[str, float], list[tuple[np.ndarray, np.ndarray]]] = {}
    maps = map_images(scorer, own, tests, run.system.scoring.tiling)
    for one in tqdm(maps, run.method.name, len(tests), unit="image", leave=False):
        for key, values, tiles in _all_settings(one):
            parts.setdefault(key, []).append((values[::EVERY, ::EVERY].ravel(), tiles))
    labels = np.concatenate([mask[::EVERY, ::EVERY].ravel() for mask in masks])
    on_tiles = tile_labels(masks, tile_items(tests, TILE, TILE // 2), TILE)
    found = {}
    for key, pairs in parts.items():
        values, tiles = (np.concatenate(column) for column in zip(*pairs, strict=True))
        tile_figures = ranking(on_tiles, tiles)
        found[key] = ranking(labels, values) | {
            f"tile_{name}": tile_figures[name] for name in FIGURES
        }
    return found


def _all_settings(maps: Maps) -> Iterator[tuple[tuple[str, float], np.ndarray, np.ndarray]]:
    for name, values in maps.items():
        for sigma in SMOOTHINGS:
            smoothed = smooth(values, sigma)
            corners = tile_items([smoothed], TILE, TILE // 2)[:, 1:]
            yield (name, sigma), smoothed, pool(smoothed, corners, TILE)["max"]


def weigh(rows: list[dict[str, Any]]) -> None:
    """Adds `value`: the mean over the families that none of the systems excludes."""
    excluded = {family for row in rows for family in row["excluded_families"]}
    weights = {name: weight for name, weight in WEIGHTS.items() if name not in excluded}
    for row in rows:
        families = [row["families"][name] for name in weights]
        row["value"] = round(float(np.average(families, weights=list(weights.values()))), 4)


def correlations(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Spearman's, of the validator's value with each figure of the labels, over all settings."""
    values = [row["value"] for row in rows]
    names = [*FIGURES, *(f"tile_{name}" for name in FIGURES)]
    return {
        name: round(float(stats.spearmanr(values, [row[name] for row in rows]).statistic), 3)
        for name in names
    }


def _kept(path: Path | None) -> list[dict[str, Any]]:
    rows = json.loads(path.read_text())["rows"] if path and path.is_file() else []
    for row in rows:
        if "practised" in row:  # the key's name in older files
            row["excluded_families"] = row.pop("practised")
    return rows


def main() -> None:
    """Prints the best setting of every run, the best run first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdirs", type=Path, nargs="+")
    parser.add_argument("--truth", action="store_true", help="compare with the test labels")
    parser.add_argument("--images", type=int, default=0, help="a seeded subset; 0: all")
    parser.add_argument("--purpose", help="for the ledger")
    parser.add_argument("--output", type=Path, help="a JSON file for all rows")
    parser.add_argument("--keep", action="store_true", help="rows of other runs in --output")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if arguments.keep:
        named = {workdir.name for workdir in arguments.workdirs}
        rows = [row for row in _kept(arguments.output) if row["run"] not in named]
    with one_line_errors():
        for workdir in tqdm(arguments.workdirs, unit="run"):
            rows += rows_of(workdir, arguments.truth, arguments.images, arguments.purpose)
    weigh(rows)
    rows.sort(key=lambda row: -row["value"])
    seen: set[str] = set()
    for row in rows:
        if row["run"] not in seen:
            seen.add(row["run"])
            true = "".join(f"  {name} {row[name]:.3f}" for name in FIGURES if name in row)
            setting = f"{row['score']} σ {row['smoothing']:g}"
            print(f"{row['value']:.3f}  {row['run']:<34} {setting:<24}{true}")
    report: dict[str, Any] = {
        "command": " ".join(["python", *sys.argv]),
        "images": arguments.images or "all",
    }
    if arguments.truth:
        report["spearman"] = correlations(rows)
        print("Spearman's ρ with the labels:", report["spearman"])
    if arguments.output:
        report |= {"rows": rows, "versions": versions()}
        write_text(arguments.output, json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
