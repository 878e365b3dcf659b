"""Runs PatchCore, PaDiM and SuperSimpleNet beside an evaluated run, on its data, by its metrics.

python -m pip install -e . -r experiments/rivals/requirements.txt    # an environment of their own
python experiments/rivals/run.py --workdir runs/recommended --seeds 3 \\
    --output experiments/results/rivals_nanotwice.json

Rivals learn from the normal images that the run trained on, and map its test images. Their settings
were fixed beforehand, and no label is used. Differences are of pixels' figures, by the paired
bootstrap of `semad.metrics.statistics`; where semad's run has one seed, seeds are not counted in
them. Times to map an image are taken in turns, image by image, in this process. `fit_cpu_seconds`
are those of all cores.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from detectors import RIVALS

from semad import load
from semad.config import files
from semad.data.normal_images import split
from semad.data.patches import tile_items
from semad.data.tiles import TILE, tile_labels
from semad.evaluation.compared import read_metrics, read_variants
from semad.metrics import pixels, ranking
from semad.metrics.statistics import ComparedSystem, compare, from_bins, verdict
from semad.run.prepare import Run, prepare
from semad.scoring.maps import pool
from semad.scoring.thresholds import conformal
from semad.sweeps.run_if_missing import rounded
from semad.utils.files import write_text
from semad.utils.versions import versions

TIMED = 10  # images
OURS = "recommended"


def main() -> None:
    """Fits, maps and compares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True, help="an evaluated run of semad")
    parser.add_argument("--data-dir", help="of its data, where that is elsewhere now")
    parser.add_argument("--rivals", default=",".join(RIVALS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    settings = files.load(arguments.workdir)
    if arguments.data_dir:
        settings.data.dir = arguments.data_dir
    run, detector = prepare(settings), load(arguments.workdir)
    folder = arguments.workdir / "evaluation" / "pixel"
    ours = read_variants(folder)[0]
    systems = [ours._replace(name=OURS, fixed=len(ours.binned) == 1)]
    rows = {OURS: _row_of(read_metrics(folder))}
    names = arguments.rivals.split(",")
    rivals: dict[str, Callable[[np.ndarray], np.ndarray]] = {OURS: detector.anomaly_map}
    for name in names:
        members = [_fitted(name, run, seed) for seed in range(arguments.seeds)]
        rows[name] = _mean([row for _, row, _ in members])
        systems.append(ComparedSystem(name, [binned for _, _, binned in members]))
        rivals[name] = members[0][0].map
    for name, seconds in times(rivals, run.source.test[:TIMED]).items():
        rows[name] |= {"seconds_per_image": seconds}
    compared = compare(systems, OURS)
    for row in compared:
        rows[row["name"]]["paired"] = {key: row[key] for key in ("auroc", "average_precision")}
    result = {
        "dataset": run.source.name,
        "images": len(run.source.test),
        "threads": torch.get_num_threads(),
        "rows": rows,
        "verdict": verdict(compared, OURS),
        "versions": versions() | {"torch": torch.__version__},
    }
    write_text(arguments.output, json.dumps(rounded(result), indent=1) + "\n")
    print(result["verdict"])


def _fitted(name: str, run: Run, seed: int) -> tuple[Any, dict[str, Any], Any]:
    """A rival, its figures on the test images, and its pixels' scores in bins."""
    normal_images = split(run.source, run.settings.data.holdout, run.sampling.patch_size)
    rival = RIVALS[name]()
    start = time.perf_counter(), time.process_time()
    rival.fit(normal_images.train, seed)
    end = time.perf_counter(), time.process_time()
    spent = {"fit_seconds": end[0] - start[0], "fit_cpu_seconds": end[1] - start[1]}
    maps = [rival.map(image) for image in run.source.test]
    normal = np.concatenate([rival.map(image).ravel() for image in normal_images.holdout])
    masks = [_mask(run, number) for number in range(len(maps))]
    limit = conformal(normal, run.settings.score.pixel_rate)
    counts = pixels.count(maps, masks, limit)
    scores = [rival.score(image, run.settings.score.min_area) for image in run.source.test]
    row = {"pixels": pixels.pixel_metrics(counts)} | figures(maps, masks, scores, run) | spent
    return rival, row, from_bins(counts.normal, counts.anomalous, counts.edges, limit)


def figures(
    maps: Sequence[np.ndarray], masks: Sequence[np.ndarray], scores: Sequence[float], run: Run
) -> dict[str, Any]:
    """Of tiles, by the map's maximum as semad has them of its own maps; of images, by scores."""
    size = min(TILE, run.sampling.patch_size)
    items = tile_items(maps, size, size // 2)
    tiles = [
        pool(values, items[items[:, 0] == number, 1:], size)["max"]
        for number, values in enumerate(maps)
    ]
    labels = np.array([mask.any() for mask in masks])
    return {
        "tiles": ranking.ranking(tile_labels(masks, items, size), np.concatenate(tiles)),
        "images": ranking.ranking(labels, np.array(scores)),
    }


def _mask(run: Run, number: int) -> np.ndarray:
    mask = run.source.masks[number]
    if mask is None:
        raise SystemExit(f"{run.source.test_ids[number]} has no mask, so pixels have no labels")
    return mask


def times(
    rivals: dict[str, Callable[[np.ndarray], np.ndarray]], images: Sequence[np.ndarray]
) -> dict[str, float]:
    """Median seconds per image, one rival after the other on each image."""
    taken: dict[str, list[float]] = {name: [] for name in rivals}
    for image in [images[0], *images]:  # the first also compiles, and does not count
        for name, mapped in rivals.items():
            start = time.perf_counter()
            mapped(image)
            taken[name].append(time.perf_counter() - start)
    return {name: median(seconds[1:]) for name, seconds in taken.items()}


def _row_of(result: dict[str, Any]) -> dict[str, Any]:
    """Semad's figures from its metrics.json, means over members."""
    members = result.get("members", [result])
    scores = [member["scores"][result["score"]] for member in members]
    keys = pixels.pixel_metric_names()
    return _mean(
        [
            {"pixels": {key: score[key] for key in keys}, "tiles": score["tiles"]["max"]}
            for score in scores
        ]
    ) | {"images": result["image_level"], "fit_seconds": result["training_seconds"] / len(members)}


def _mean(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds, key by key, with their number."""

    def mean(values: Sequence[Any]) -> Any:
        if isinstance(values[0], dict):
            return {key: mean([value[key] for value in values]) for key in values[0]}
        return None if values[0] is None else float(np.mean(values))

    return mean(rows) | {"seeds": len(rows)}


if __name__ == "__main__":
    main()
