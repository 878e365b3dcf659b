"""From what an evaluation wrote to what `semad.evaluation.statistics` compares."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from semad.errors import UserError
from semad.evaluation import pixels
from semad.evaluation.baselines import BASELINES
from semad.evaluation.results import variant
from semad.evaluation.statistics import Entry, Tally, tally, tally_bins
from semad.scoring.thresholds import threshold


def read(folder: Path) -> dict[str, Any]:
    """The metrics.json of an evaluation.

    Raises:
      UserError: when it is not there.
    """
    path = folder / "metrics.json"
    if not path.is_file():
        raise UserError(f"{folder}: no evaluation here (metrics.json is missing)")
    return json.loads(path.read_text())


def variants(folder: Path) -> list[Entry]:
    """An entry per variant of the population, with the tallies of its seeds, of the result's score.

    Args:
      folder: `evaluation/<protocol>` of a run.

    Raises:
      UserError: when there is no evaluation.
    """
    result = read(folder)
    members, name = result.get("members", [result]), result["score"]
    limits = [member["scores"][name]["threshold"] for member in members]
    if result["protocol"] == "pixel":
        counts = pixels.load(folder / "scores.npz")
        tallies = [_of_counts(counts[str(i)], limit) for i, limit in enumerate(limits)]
    else:
        with np.load(folder / "scores.npz", allow_pickle=False) as arrays:
            scores, places = np.atleast_2d(arrays[f"score/{name}"]), _places(arrays)
            tallies = [
                tally(own, *places, limit) for own, limit in zip(scores, limits, strict=True)
            ]
    found: dict[str, list[Tally]] = {}
    for member, one in zip(members, tallies, strict=True):
        found.setdefault(variant(member), []).append(one)
    return [Entry(key, own) for key, own in found.items()]


def baselines(folder: Path) -> list[Entry]:
    """An entry per baseline, on the same test data and at the same threshold rule.

    Raises:
      UserError: when there is no evaluation.
    """
    result = read(folder)
    if result["protocol"] == "pixel":
        counts = pixels.load(folder / "scores.npz")
        limits = {name: result["baselines"][name]["threshold"] for name in BASELINES}
        return [
            Entry(_title(name), [_of_counts(counts[name], limit)], fixed=True)
            for name, limit in limits.items()
        ]
    settings = result["config"]["score"]
    rule = settings["threshold_rule"], settings["threshold_rate"]
    with np.load(folder / "scores.npz", allow_pickle=False) as arrays:
        entries, places = [], _places(arrays)
        for name in BASELINES:
            scores, normal = (
                arrays[f"{prefix}/{name}"] for prefix in ("baseline", "holdout_baseline")
            )
            one = tally(scores, *places, threshold(*rule, normal, scores))
            entries.append(Entry(_title(name), [one], fixed=True))
    return entries


def _of_counts(counts: pixels.Counts, limit: float) -> Tally:
    return tally_bins(counts.normal, counts.anomalous, counts.edges, limit)


def _places(arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and which image each item is of, from 0 on."""
    return arrays["labels"], np.unique(arrays["items"][:, 0], return_inverse=True)[1]


def _title(name: str) -> str:
    return name.replace("_", " ")
