"""`config.select`: which score, and how smooth a map, chosen without a label."""

from collections.abc import Iterable, Sequence
from typing import Any

import ml_collections
import numpy as np

from semad import backend
from semad.evaluation.validator import SMOOTHINGS, Ranked, rank_settings
from semad.scoring.batched import Scoring, make_scorer
from semad.types import Method

SELECTIONS = ("none", "synthetic")
"""`none`: as `config.score` says; `synthetic`: what finds synthetic defects best."""

_KEPT = 10  # of the ranking, in the record


def select(
    config: ml_collections.ConfigDict,
    method: Method,
    member: Scoring,
    normal: Sequence[np.ndarray],
    smoothings: Iterable[float] = SMOOTHINGS,
) -> dict[str, Any]:
    """Ranks every score at every smoothing by `semad.evaluation.validator`.

    Args:
      config: of the run.
      method: the system.
      member: whose weights; the choice holds for its whole population.
      normal: held-out normal images.
      smoothings: to choose among.

    Returns:
      `rule`, `chosen`, `runner_up` and `ranking`, the best first: each has `score`, `smoothing`,
      `value` and the average precision by family of defects.
    """
    ranked = rank_settings(
        make_scorer(method, maps=True),
        member,
        normal,
        patch_size=config.data.patch_size,
        stride=config.score.stride,
        chunk=config.score.chunk or backend.plan().score_chunk,
        smoothings=smoothings,
        seed=config.seed,
    )
    rows = [_row(one) for one in ranked[:_KEPT]]
    return {"rule": "synthetic", "chosen": rows[0], "runner_up": rows[1], "ranking": rows}


def _row(ranked: Ranked) -> dict[str, Any]:
    return ranked.setting._asdict() | {"value": ranked.value, "families": ranked.families}


def apply(
    config: ml_collections.ConfigDict, selection: dict[str, Any]
) -> ml_collections.ConfigDict:
    """A copy of the config that scores as was chosen."""
    chosen = config.copy_and_resolve_references()
    chosen.score.name = selection["chosen"]["score"]
    chosen.score.smoothing = selection["chosen"]["smoothing"]
    return chosen
