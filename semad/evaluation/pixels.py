"""Evaluation pixel by pixel: dense maps of whole micrographs against their masks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from semad.data.patches import tile_items
from semad.data.tiles import TILE, subset, tile_labels
from semad.evaluation.map_lists import MapLists, map_all, stack
from semad.evaluation.per_image import of_maps
from semad.evaluation.pixel_files import PixelFiles, TestImages
from semad.evaluation.results import summary
from semad.metrics import pixels, ranking
from semad.run.prepare import Run
from semad.run.system import scoring_state
from semad.scoring.baselines import baseline_maps
from semad.scoring.batched import (
    Scorer,
    ScoringState,
    check_finite,
    make_scorer,
    over_devices,
)
from semad.scoring.maps import pool, smooth
from semad.scoring.overfitting import NormalMap
from semad.scoring.thresholds import threshold
from semad.scoring.unfinished import KEEP_NOTHING, Unfinished
from semad.selection.select import baseline_smoothings
from semad.types import TrainState


class MemberEvaluation(NamedTuple):
    """The metrics of one member, and the counts of the score that the result is about."""

    metrics: dict[str, Any]
    counts: pixels.Counts


def evaluate_pixels(
    run: Run, state: TrainState, files: PixelFiles, unfinished: Unfinished = KEEP_NOTHING
) -> dict[str, Any]:
    """Metrics of all scores of all members, with overlays of the first member's maps.

    The maps of one member are held in memory: 4 bytes per pixel and score. Beside the pixels'
    metrics, `tiles` has those of the thesis' tiles, each scored by the maximum and by the mean of
    the map inside it. Rows per image, and how thresholds hold, are of the first member. Where all
    members train alike, `ensemble` has the metrics of their maps' mean.

    Args:
      run: of `semad.run.prepare`.
      state: the population, stacked over its members.
      files: takes scores.npz and the figures.
      unfinished: keeps the maps so far, and has what an earlier call kept.
    """
    test_images, name = choose_images(run), run.system.scoring.score
    images, masks, ids = test_images
    scorer = over_devices(make_scorer(run.method, maps=True))
    rows, counts, total = [], [], [np.zeros(mask.shape, np.float32) for mask in masks]
    per_image: dict[str, Any] = {}
    for number, (member, step) in enumerate(zip(run.system.members, state.step, strict=True)):
        scoring = scoring_state(run.system, state, number)
        test, holdout = (
            map_all(run, scorer, scoring, part, f"{label}, member {number}", unfinished)
            for part, label in (
                (images, "mapping test images"),
                (run.holdout, "mapping held-out normal images"),
            )
        )
        evaluated = _evaluate_member(run, test, holdout, masks)
        counts.append(evaluated.counts)
        rows.append(member._asdict() | {"step": int(step)} | evaluated.metrics)
        total = [before + values for before, values in zip(total, test[name], strict=True)]
        if number == 0:
            limit = evaluated.metrics["threshold"]["value"]
            per_image = of_maps(
                *(test[name], _of_normal(run, scorer, scoring, unfinished), masks, ids),
                part=run.normal.part,
                settings=run.settings.score,
            )
            files.draw_maps(test_images, test[name], holdout[name], limit, name)
            files.draw_cases(test_images, test[name], per_image["images"])
    baselines, counted = _baselines(run, images, masks)
    if rows[0]["auroc"] is not None:
        files.draw_curves({f"{run.method.name} {name}": counts[0]} | counted)
    files.save_counts(ids, {str(number): values for number, values in enumerate(counts)} | counted)
    variants = {member.variant for member in run.system.members}
    alike = len(run.system.members) > 1 and len(variants) == 1
    return (
        summary(rows, run.settings.score.threshold_rule)
        | per_image
        | ({"ensemble": _ranked(run, total, masks, pixels.count(total, masks))} if alike else {})
        | {
            "n_test": sum(mask.size for mask in masks),
            "n_anomalous": int(sum(mask.sum() for mask in masks)),
            "n_available": sum(mask.size for mask in run.source.masks if mask is not None),
            "n_images": len(images),
            "baselines": baselines,
        }
    )


def _of_normal(
    run: Run, scorer: Scorer, member: ScoringState, unfinished: Unfinished
) -> list[NormalMap]:
    """Maps of the score that the result is about, of all normal images that calibrate."""
    name, label = run.system.scoring.score, "mapping normal images"
    maps = map_all(run, scorer, member, run.normal.images, label, unfinished, (name,))[name]
    check_finite(name, *maps)
    return [NormalMap(*each) for each in zip(maps, run.normal.seen, run.normal.names, strict=True)]


def choose_images(run: Run) -> TestImages:
    """The test images, or a seeded subset of them (`config.eval.max_items`)."""
    chosen = subset(len(run.source.test), run.settings.eval.max_items, run.settings.seed)
    images, masks, ids = (
        [part[i] for i in chosen]
        for part in (run.source.test, run.source.masks, run.source.test_ids)
    )
    return TestImages(images, masks, ids)


def _baselines(
    run: Run, images: list[np.ndarray], masks: list[np.ndarray]
) -> tuple[dict[str, Any], dict[str, pixels.Counts]]:
    """Metrics of the baselines, with their thresholds, and what they are made of."""
    sigmas, settings = baseline_smoothings(run), run.settings.score
    test, normal = (
        stack([_smoothed_baselines(image, sigmas) for image in part])
        for part in (images, run.holdout)
    )
    ranked: dict[str, Any] = {}
    counted: dict[str, pixels.Counts] = {}
    for key, maps in test.items():
        values, held = (
            np.concatenate([values.ravel() for values in p]) for p in (maps, normal[key])
        )
        limit = threshold(settings.threshold_rule, settings.pixel_rate, held, values)
        counted[key] = pixels.count(maps, masks, limit)
        ranked[key] = {"smoothing": sigmas[key], "threshold": limit}
        ranked[key] |= _ranked(run, maps, masks, counted[key])
        pixel_labels, bins, weights = pixels.curve(counted[key])
        ranked[key]["inverted"] = ranking.ranking(pixel_labels, -bins, weights)
    return ranked, counted


def _ranked(
    run: Run, maps: Sequence[np.ndarray], masks: Sequence[np.ndarray], counts: pixels.Counts
) -> dict[str, Any]:
    """Metrics of one map per image that need no threshold."""
    return pixels.pixel_metrics(counts) | {
        "tiles": _tiles(run, maps, masks),
        "intervals": pixels.intervals(counts, run.settings.seed),
    }


def _smoothed_baselines(image: np.ndarray, sigmas: dict[str, float]) -> dict[str, np.ndarray]:
    return {name: smooth(values, sigmas[name]) for name, values in baseline_maps(image).items()}


def _evaluate_member(
    run: Run, test: MapLists, holdout: MapLists, masks: Sequence[np.ndarray]
) -> MemberEvaluation:
    """Metrics of one member, those of the system's score also on top."""
    settings, name = run.settings.score, run.system.scoring.score
    labels = np.concatenate([mask.ravel() for mask in masks])
    scores, counted = {}, {}
    for key, maps in test.items():
        values, normal = (
            np.concatenate([values.ravel() for values in part]) for part in (maps, holdout[key])
        )
        check_finite(key, values, normal)
        limit = threshold(settings.threshold_rule, settings.pixel_rate, normal, values)
        counts = counted[key] = pixels.count(maps, masks, limit)
        covered = [
            pixels.coverage(values, mask, limit) for values, mask in zip(maps, masks, strict=True)
        ]
        scores[key] = (
            _ranked(run, maps, masks, counts)
            | {"threshold": limit}
            | ranking.at_threshold(labels, values, limit)
            | {
                "false_positive_rate": float((values[~labels] > limit).mean()),
                "coverage": _coverage(np.concatenate(covered)),
            }
        )
    chosen = scores[name]
    top = {key: chosen[key] for key in (*pixels.pixel_metric_names(), *ranking.AT_THRESHOLD)}
    rule = {"rule": settings.threshold_rule, "value": chosen["threshold"]}
    return MemberEvaluation(top | {"threshold": rule, "scores": scores}, counted[name])


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
    run: Run, maps: Sequence[np.ndarray], masks: Sequence[np.ndarray]
) -> dict[str, dict[str, float | None]]:
    """The thesis' tiles, scored by what the map holds inside them; smaller where patches are."""
    size = min(TILE, run.sampling.patch_size)
    items = tile_items(maps, size, size // 2)  # whatever the stride of the map
    labels = tile_labels(masks, items, size)
    pooled = [
        pool(values, items[items[:, 0] == number, 1:], size) for number, values in enumerate(maps)
    ]
    return {
        how: ranking.ranking(labels, np.concatenate([values[how] for values in pooled]))
        for how in pooled[0]
    }
