"""What metrics.json holds: metrics of every score of every member, and their summary."""

import statistics
from collections.abc import Callable
from itertools import groupby
from typing import Any

import numpy as np

from semad.metrics import ranking
from semad.metrics.pixels import OF_PIXELS
from semad.run.population import Member
from semad.scoring.batched import check_finite
from semad.scoring.thresholds import threshold

Values = dict[str, np.ndarray]
"""Score name -> (N,)."""


def member_metrics(
    labels: np.ndarray,
    test: Values,
    holdout: Values,
    name: str,
    rule: str,
    rate: float,
) -> dict[str, Any]:
    """All figures of all scores of one member; those of the score `name` also on top.

    Args:
      labels: bool (N,), True where anomalous.
      test: scores of the test items.
      holdout: scores of held-out normal patches.
      name: of the score that the result is about.
      rule, rate: of the threshold, see `semad.scoring.thresholds`.

    Raises:
      UserError: for a score that is not finite everywhere.
    """
    scores: dict[str, dict[str, Any]] = {}
    for key, values in test.items():
        check_finite(key, values, holdout[key])
        value = threshold(rule, rate, holdout[key], values)
        scores[key] = ranking.ranking(labels, values)
        scores[key] |= {"threshold": value} | ranking.at_threshold(labels, values, value)
        table = ranking.transductive(labels, values)
        scores[key] |= {
            "transductive": table,
            "transductive_best": ranking.transductive_best(table),
        }
    chosen = scores[name]
    limit = {"rule": rule, "value": chosen["threshold"]}
    return {key: chosen[key] for key in ranking.metric_names()} | {
        "threshold": limit,
        "scores": scores,
    }


def variant(member: dict[str, Any]) -> str:
    """What a member shares with those that differ from it by their seeds alone."""
    return Member(member["seed"], member["tricks"], member["point"]).variant


def summary(members: list[dict[str, Any]], rule: str) -> dict[str, Any]:
    """One member's figures, or of several their mean on top, `members`, `mean` and `std`.

    With several members every figure of `scores` is the mean over them, and the threshold has no
    single value. The standard deviation is that of a sample. Members that train with different
    tricks or values are not averaged: `by_variant` has a summary of each, and the first is on top.
    """
    if len(members) == 1:
        return members[0]
    groups = {name: list(group) for name, group in groupby(members, key=variant)}
    if len(groups) > 1:
        parts = {name: summary(group, rule) for name, group in groups.items()}
        return next(iter(parts.values())) | {"members": members, "by_variant": parts}
    mean, std = (_over(members, function) for function in (statistics.mean, statistics.stdev))
    scores = {
        name: _over([member["scores"][name] for member in members], statistics.mean)
        for name in members[0]["scores"]
    }
    limit = {"rule": rule, "value": None}
    top = {"threshold": limit, "scores": scores, "members": members, "mean": mean, "std": std}
    return mean | top


def _over(
    parts: list[dict[str, Any]], function: Callable[[list[float]], float]
) -> dict[str, float | None]:
    """A statistic of each figure; None where a part has none."""
    keys = [key for key in (*ranking.metric_names(), *OF_PIXELS) if key in parts[0]]
    columns = {key: [part[key] for part in parts] for key in keys}
    return {key: None if None in column else function(column) for key, column in columns.items()}
