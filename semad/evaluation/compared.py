"""Reads what evaluations wrote into what `semad.metrics.statistics` compares."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from semad.errors import UserError
from semad.evaluation.results import variant
from semad.metrics import pixels
from semad.metrics.statistics import BinnedScores, ComparedSystem, bin_scores, from_bins
from semad.scoring.baselines import BASELINES
from semad.scoring.thresholds import threshold
from semad.utils.arrays import read_arrays
from semad.utils.sealed import damage


def read_metrics(folder: Path) -> dict[str, Any]:
    """The metrics.json of an evaluation.

    Raises:
      UserError: when it is not there, or is not as it was written.
    """
    path = folder / "metrics.json"
    if not path.is_file():
        raise UserError(f"{folder}: no evaluation here (metrics.json is missing)")
    try:
        why, stored = damage(folder), json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        why, stored = f"metrics.json is damaged ({error})", None
    if why or not isinstance(stored, dict):
        raise UserError(f"{folder}: {why or 'metrics.json is damaged'}; evaluate again")
    return stored


def read_variants(folder: Path) -> list[ComparedSystem]:
    """A system per variant of the population: its seeds' values of the result's score, in bins.

    Args:
      folder: `evaluation/<protocol>` of a run.

    Raises:
      UserError: when there is no evaluation, or it is damaged.
    """
    result = read_metrics(folder)
    members, name = result.get("members", [result]), result["score"]
    limits = [member["scores"][name]["threshold"] for member in members]
    if result["protocol"] == "pixel":
        counts = pixels.load(folder / "scores.npz")
        binned = [_of_counts(counts[str(i)], limit) for i, limit in enumerate(limits)]
    else:
        arrays = read_arrays(folder / "scores.npz")
        scores, places = np.atleast_2d(arrays[f"score/{name}"]), _places(arrays)
        binned = [
            bin_scores(values, *places, limit) for values, limit in zip(scores, limits, strict=True)
        ]
    by_variant: dict[str, list[BinnedScores]] = {}
    for member, binned_scores in zip(members, binned, strict=True):
        by_variant.setdefault(variant(member), []).append(binned_scores)
    return [ComparedSystem(key, values) for key, values in by_variant.items()]


def read_baselines(folder: Path) -> list[ComparedSystem]:
    """A system per baseline, on the same test data and at the same threshold rule.

    Raises:
      UserError: when there is no evaluation, or it is damaged.
    """
    result = read_metrics(folder)
    if result["protocol"] == "pixel":
        counts = pixels.load(folder / "scores.npz")
        limits = {name: result["baselines"][name]["threshold"] for name in BASELINES}
        return [
            ComparedSystem(_title(name), [_of_counts(counts[name], limit)], fixed=True)
            for name, limit in limits.items()
        ]
    settings = result["config"]["score"]
    rule = settings["threshold_rule"], settings["threshold_rate"]
    arrays = read_arrays(folder / "scores.npz")
    entries, places = [], _places(arrays)
    for name in BASELINES:
        scores, normal = (arrays[f"{prefix}/{name}"] for prefix in ("baseline", "holdout_baseline"))
        binned_scores = bin_scores(scores, *places, threshold(*rule, normal, scores))
        entries.append(ComparedSystem(_title(name), [binned_scores], fixed=True))
    return entries


def _of_counts(counts: pixels.Counts, limit: float) -> BinnedScores:
    return from_bins(counts.normal, counts.anomalous, counts.edges, limit)


def _places(arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and which image each item is of, from 0 on."""
    return arrays["labels"], np.unique(arrays["items"][:, 0], return_inverse=True)[1]


def _title(name: str) -> str:
    return name.replace("_", " ")
