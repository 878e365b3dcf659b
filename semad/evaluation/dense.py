"""Evaluation pixel by pixel: dense maps of whole micrographs against their masks."""

from pathlib import Path
from typing import Any

import numpy as np

from semad import experiment
from semad.data.patches import tile_items
from semad.evaluation import figures, metrics, pixels
from semad.evaluation.baselines import baseline_maps
from semad.evaluation.map_lists import MapLists, map_all, stack
from semad.evaluation.per_image import of_maps
from semad.evaluation.protocols import TILE, subset, tile_labels
from semad.evaluation.results import summary
from semad.evaluation.selection import baseline_smoothings
from semad.experiment import Experiment
from semad.population import members
from semad.scoring.batched import check_finite, make_scorer, over_devices
from semad.scoring.maps import pool, smooth
from semad.scoring.thresholds import threshold
from semad.scoring.unfinished import KEEP_NOTHING, Unfinished
from semad.types import TrainState

_HISTOGRAM_PIXELS = 200_000
_CASES = 2  # best and as many worst


def evaluate_pixels(
    run: Experiment,
    state: TrainState,
    folder: Path,
    name: str,
    unfinished: Unfinished = KEEP_NOTHING,
) -> dict[str, Any]:
    """Figures of all scores of all members, with overlays of the first member's maps.

    The maps of one member are held in memory: 4 bytes per pixel and score. Beside the pixels'
    figures, `tiles` has those of the thesis' tiles, each scored by the maximum and by the mean of
    the map inside it. Rows per image, and how thresholds hold, are of the first member. Where all
    members train alike, `ensemble` has the figures of their maps' mean.

    Args:
      run: of `semad.experiment.prepare`.
      state: the population, stacked over its members.
      folder: takes `maps/`, scores.npz and the figures.
      name: of the score that the result is about.
      unfinished: keeps the maps so far, and has what an earlier call kept.
    """
    chosen = subset(len(run.source.test), run.config.eval.max_items, run.config.seed)
    images, masks = ([part[i] for i in chosen] for part in (run.source.test, run.source.masks))
    ids = [run.source.test_ids[i] for i in chosen]
    scorer = over_devices(make_scorer(run.method, maps=True))
    population = members(run.config)
    rows, counts, total = [], [], [np.zeros(mask.shape, np.float32) for mask in masks]
    for number, (one, step) in enumerate(zip(population, state.step, strict=True)):
        own = experiment.scoring_member(run.config, run.method, state, number)
        test, holdout = (
            map_all(run, scorer, own, part, f"{label}, member {number}", unfinished)
            for part, label in (
                (images, "mapping test images"),
                (run.holdout.images, "mapping held-out normal images"),
            )
        )
        own_figures, own_counts = _member(run, test, holdout, masks, name)
        counts.append(own_counts)
        rows.append(one._asdict() | {"step": int(step)} | own_figures)
        total = [before + values for before, values in zip(total, test[name], strict=True)]
        if number == 0:
            limit = own_figures["threshold"]["value"]
            _draw(folder, images, masks, ids, test[name], holdout[name], limit, name)
            whole = of_maps(
                *(test[name], holdout[name], masks, ids),
                part=run.holdout.part,
                settings=run.config.score,
            )
            _draw_cases(folder, images, masks, test[name], whole["images"])
    baselines, counted = _baselines(run, images, masks)
    if rows[0]["auroc"] is not None:
        curves = {
            key: pixels.curve(one)
            for key, one in ({f"{run.method.name} {name}": counts[0]} | counted).items()
        }
        figures.roc(folder / "roc.png", curves)
        figures.precision_recall(folder / "pr.png", curves)
    every = {str(number): one for number, one in enumerate(counts)} | counted
    pixels.save(folder / "scores.npz", ids, every)
    alike = len(population) > 1 and len({one.variant for one in population}) == 1
    return (
        summary(rows, run.config.score.threshold_rule)
        | whole
        | ({"ensemble": _ranked(run, total, masks, pixels.count(total, masks))} if alike else {})
        | {
            "n_test": sum(mask.size for mask in masks),
            "n_anomalous": int(sum(mask.sum() for mask in masks)),
            "n_available": sum(mask.size for mask in run.source.masks),
            "n_images": len(images),
            "baselines": baselines,
        }
    )


def _baselines(
    run: Experiment, images: list[np.ndarray], masks: list[np.ndarray]
) -> tuple[dict[str, Any], dict[str, pixels.Counts]]:
    """Figures of the baselines, with their thresholds, and what they are made of."""
    sigmas, settings = baseline_smoothings(run), run.config.score
    test, normal = (
        stack([_smoothed_baselines(image, sigmas) for image in part])
        for part in (images, run.holdout.images)
    )
    ranked, counted = {}, {}
    for key, maps in test.items():
        values, held = (np.concatenate([one.ravel() for one in p]) for p in (maps, normal[key]))
        limit = threshold(settings.threshold_rule, settings.pixel_rate, held, values)
        counted[key] = pixels.count(maps, masks, limit)
        ranked[key] = {"smoothing": sigmas[key], "threshold": limit}
        ranked[key] |= _ranked(run, maps, masks, counted[key])
    return ranked, counted


def _ranked(
    run: Experiment, maps: list[np.ndarray], masks: list[np.ndarray], counts: pixels.Counts
) -> dict[str, Any]:
    """Figures of one map per image that need no threshold."""
    return pixels.figures(counts) | {
        "tiles": _tiles(run, maps, masks),
        "intervals": pixels.intervals(counts, run.config.seed),
    }


def _smoothed_baselines(image: np.ndarray, sigmas: dict[str, float]) -> dict[str, np.ndarray]:
    return {name: smooth(one, sigmas[name]) for name, one in baseline_maps(image).items()}


def _member(
    run: Experiment, test: MapLists, holdout: MapLists, masks: list[np.ndarray], name: str
) -> tuple[dict[str, Any], pixels.Counts]:
    """Figures of one member, those of the score `name` also on top, and that score's counts."""
    settings = run.config.score
    labels = np.concatenate([mask.ravel() for mask in masks])
    scores, counted = {}, {}
    for key, maps in test.items():
        values, normal = (
            np.concatenate([one.ravel() for one in part]) for part in (maps, holdout[key])
        )
        check_finite(key, values, normal)
        limit = threshold(settings.threshold_rule, settings.pixel_rate, normal, values)
        counts = counted[key] = pixels.count(maps, masks, limit)
        covered = [pixels.coverage(one, mask, limit) for one, mask in zip(maps, masks, strict=True)]
        scores[key] = (
            _ranked(run, maps, masks, counts)
            | {"threshold": limit}
            | metrics.at_threshold(labels, values, limit)
            | {
                "false_positive_rate": float((values[~labels] > limit).mean()),
                "coverage": _coverage(np.concatenate(covered)),
            }
        )
    own = scores[name]
    top = {key: own[key] for key in (*pixels.NAMES, "precision", "recall", "f1")}
    rule = {"rule": settings.threshold_rule, "value": own["threshold"]}
    return top | {"threshold": rule, "scores": scores}, counted[name]


def _coverage(shares: np.ndarray) -> dict[str, float | int | None]:
    """Of the defects: how many, what share of each is found, and how many not at all."""
    if not shares.size:
        return {"defects": 0, "mean": None, "median": None, "missed": None}
    return {
        "defects": len(shares),
        "mean": float(shares.mean()),
        "median": float(np.median(shares)),
        "missed": int((shares == 0).sum()),
    }


def _tiles(
    run: Experiment, maps: list[np.ndarray], masks: list[np.ndarray]
) -> dict[str, dict[str, float | None]]:
    """The thesis' tiles, scored by what the map holds inside them; smaller where patches are."""
    size = min(TILE, run.draw.patch_size)
    items = tile_items(maps, size, size // 2)  # whatever the stride of the map
    labels = tile_labels(masks, items, size)
    pooled = [
        pool(values, items[items[:, 0] == number, 1:], size) for number, values in enumerate(maps)
    ]
    return {
        how: metrics.ranking(labels, np.concatenate([one[how] for one in pooled]))
        for how in pooled[0]
    }


def _draw(
    folder: Path,
    images: list[np.ndarray],
    masks: list[np.ndarray],
    ids: list[str],
    maps: list[np.ndarray],
    holdout: list[np.ndarray],
    limit: float,
    name: str,
) -> None:
    """Overlays, and a histogram of a fixed share of the pixels."""
    (folder / "maps").mkdir()
    for image, mask, key, values in zip(images, masks, ids, maps, strict=True):
        path = folder / "maps" / f"{key.replace('/', '_')}.png"
        figures.overlay(path, image, mask, values > limit)
    labels, values, normal = (
        np.concatenate([one.ravel() for one in part]) for part in (masks, maps, holdout)
    )
    every = 1 + len(values) // _HISTOGRAM_PIXELS
    figures.histogram(
        folder / "histogram.png", labels[::every], values[::every], normal[::every], limit, name
    )


def _draw_cases(
    folder: Path,
    images: list[np.ndarray],
    masks: list[np.ndarray],
    maps: list[np.ndarray],
    rows: list[dict[str, Any]],
) -> None:
    """The images whose maps rank their own pixels best and worst, by average precision."""
    ranked = [i for i, row in enumerate(rows) if row["average_precision"] is not None]
    ranked.sort(key=lambda i: -rows[i]["average_precision"])
    chosen = dict.fromkeys(ranked[:_CASES] + ranked[-_CASES:])
    if chosen:
        cases = {
            f"{rows[i]['image']}: average precision {rows[i]['average_precision']:.3f}": (
                images[i],
                masks[i],
                maps[i],
            )
            for i in chosen
        }
        figures.map_cases(folder / "cases.png", cases)
