"""Cells and lines of Markdown tables."""

from collections.abc import Iterable
from typing import Any


def markdown_line(cells: Iterable[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def mean_and_deviation(metric: dict[str, Any], sign: str = "±") -> str:
    """A metric of `semad.metrics.statistics.compare`: its mean, and its deviation over seeds."""
    spread = "" if metric["std"] is None else f" {sign} {metric['std']:.3f}"
    return f"{metric['mean']:.3f}{spread}"
