"""Thresholds from normal images alone: split-conformal, with the rate that they achieve."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


def conformal(scores: np.ndarray, rate: float) -> float:
    """The split-conformal quantile of normal scores (Vovk et al. 2005; Angelopoulos, Bates 2021).

    A new normal score, exchangeable with the n given ones, exceeds it with a probability of at most
    `rate`, provided that n is at least 1 / rate - 1. With fewer the largest score is returned, and
    no rate below 1 / (n + 1) can be promised.

    Args:
      scores: of normal items that training has not seen, (n,).
      rate: in [0, 1].
    """
    rank = conformal_rank(scores.size, rate)
    return float(np.partition(scores, rank)[rank])


def conformal_rank(count: int, rate: float) -> int:
    """The place of that quantile among so many sorted scores, from 0 on."""
    rank = math.ceil((count + 1) * (1 - rate) - 1e-9)  # rounding must not add a rank
    return min(max(rank, 1), count) - 1


def threshold(rule: str, rate: float, holdout: np.ndarray, test: np.ndarray) -> float:
    """A threshold by rule.

    Args:
      rule: `normal_quantile`: split-conformal on held-out *normal* scores;
        `transductive`: exceeded by the share `rate` of the *test* scores (thesis, section 5.1.1).
      rate: in [0, 1].
      holdout: scores of held-out normal patches, (M,).
      test: scores of the test items, (N,).
    """
    if rule == "normal_quantile":
        return conformal(holdout, rate)
    return float(np.quantile(test, 1 - rate))


class Rates(NamedTuple):
    """Of false positives, each in [0, 1].

    Attributes:
      image: among whole normal images.
      pixel: among normal pixels.
    """

    image: float
    pixel: float


class Thresholds(NamedTuple):
    """What an image's score and its map's values are compared with.

    Attributes:
      image: a normal image's score exceeds it with a probability of at most the images' rate.
      pixel: the pixels' rate is the share of normal pixels that exceeds it.
      core: of the map, where a defect has its core; None where no level of it makes a score.
    """

    image: float
    pixel: float
    core: float | None = None


def achieved(
    groups: Sequence[np.ndarray],
    rate: float,
    quantile: Callable[[np.ndarray, float], float] = conformal,
) -> dict[str, Any] | None:
    """The share of each group above a quantile of the other groups.

    Args:
      groups: normal scores, a group per image.
      rate: asked for.
      quantile: scores (n,) and the rate -> the level that the rate is to exceed.

    Returns:
      See `share_above`; None for a single group.
    """
    if len(groups) < 2:
        return None
    limits = [
        quantile(np.concatenate([*groups[:number], *groups[number + 1 :]]), rate)
        for number in range(len(groups))
    ]
    return share_above(groups, limits)


def share_above(groups: Sequence[np.ndarray], limits: Sequence[float]) -> dict[str, Any]:
    """The mean over images of the share above a limit, and its 95 % interval.

    Images are the units: Student's interval of their shares, or, where each is one score, that of a
    binomial (Clopper and Pearson 1934).

    Args:
      groups: scores, a group per image.
      limits: one per group.

    Returns:
      `achieved` and `interval` (low, high), None where a single image allows none.
    """
    pairs = zip(groups, limits, strict=True)
    shares = np.array([float((group > limit).mean()) for group, limit in pairs])
    mean, count = float(shares.mean()), len(shares)
    if all(group.size == 1 for group in groups):
        test = stats.binomtest(int(shares.sum()), count)
        return {
            "achieved": mean,
            "interval": [float(end) for end in test.proportion_ci(CONFIDENCE)],
        }
    if count < 2:
        return {"achieved": mean, "interval": None}
    half = stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * shares.std(ddof=1) / math.sqrt(count)
    return {"achieved": mean, "interval": [float(max(0, mean - half)), float(min(1, mean + half))]}
