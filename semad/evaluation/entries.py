"""From what an evaluation wrote to what `semad.evaluation.statistics` compares."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from semad.errors import UserError
from semad.evaluation import pixels
from semad.evaluation.baselines import BASELINES
from semad.evaluation.results import variant
from semad.evaluation.statistics import Entry, tally, tally_bins
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


def variants(folder: Path, score: str | None = None, keep: np.ndarray | None = None) -> list[Entry]:
    """An entry per variant of the population, with the tallies of its seeds.

    Args:
      folder: `evaluation/<protocol>` of a run.
      score: which one; None for that of the result, the only one of maps.
      keep: of items, bool (N,), those to count; None for all.

    Raises:
      UserError: when there is no evaluation, or it has no such score.
    """
    result = read(folder)
    members = result.get("members", [result | {"tricks": "none", "point": ""}])
    name = score or result["score"]
    if name not in members[0]["scores"]:
        raise UserError(
            f"{folder} has no score {name!r}; it has: {', '.join(members[0]['scores'])}"
        )
    limits = [member["scores"][name]["threshold"] for member in members]
    if result["protocol"] == "pixel":
        if name != result["score"]:
            raise UserError(f"{folder}: maps are kept of the score {result['score']} alone")
        counts = pixels.load(folder / "scores.npz")
        tallies = [_of_counts(counts[str(i)], limit) for i, limit in enumerate(limits)]
    else:
        with np.load(folder / "scores.npz", allow_pickle=False) as arrays:
            scores = np.atleast_2d(arrays[f"score/{name}"])
            rows = _rows(arrays, keep)
            tallies = [
                tally(own[rows[2]], *rows[:2], limit)
                for own, limit in zip(scores, limits, strict=True)
            ]
    found: dict[str, list] = {}
    for member, one in zip(members, tallies, strict=True):
        found.setdefault(variant({"seed": 0} | member), []).append(one)
    return [Entry(key, own) for key, own in found.items()]


def baselines(folder: Path, keep: np.ndarray | None = None) -> list[Entry]:
    """An entry per baseline, on the same test data and, of items, at the same threshold rule.

    Those of maps have no threshold: figures at it are those of a detector that finds nothing.

    Raises:
      UserError: when there is no evaluation.
    """
    result = read(folder)
    if result["protocol"] == "pixel":
        counts = pixels.load(folder / "scores.npz")
        return [
            Entry(_title(name), [_of_counts(counts[name], np.inf)], fixed=True)
            for name in BASELINES
        ]
    settings = result["config"]["score"]
    rule = settings["threshold_rule"], settings["threshold_rate"]
    with np.load(folder / "scores.npz", allow_pickle=False) as arrays:
        labels, images, kept = _rows(arrays, keep)
        entries = []
        for name in BASELINES:
            scores, normal = (
                arrays[f"{prefix}/{name}"] for prefix in ("baseline", "holdout_baseline")
            )
            one = tally(scores[kept], labels, images, threshold(*rule, normal, scores))
            entries.append(Entry(_title(name), [one], fixed=True))
    return entries


def _of_counts(counts: pixels.Counts, limit: float) -> Any:
    return tally_bins(counts.normal, counts.anomalous, counts.edges, limit)


def _rows(arrays: Any, keep: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, Any]:
    """Labels and image numbers, from 0 on, of the items that count, and which these are."""
    kept = slice(None) if keep is None else keep
    images = np.unique(arrays["items"][kept, 0], return_inverse=True)[1]
    return arrays["labels"][kept], images, kept


def _title(name: str) -> str:
    return name.replace("_", " ")
