"""What is said of whole test images: their scores, and false positives where there is no defect."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from semad.config.schema import ScoreSettings
from semad.metrics import pixels
from semad.metrics.ranking import ranking
from semad.scoring.calibration import calibrate
from semad.scoring.overfitting import NormalMap
from semad.scoring.thresholds import Rates, Thresholds, achieved, share_above


def of_maps(
    test: Sequence[np.ndarray],
    normal: Sequence[NormalMap],
    masks: Sequence[np.ndarray],
    ids: Sequence[str],
    *,
    part: float,
    settings: ScoreSettings,
) -> dict[str, Any]:
    """Calibration on normal images, and how it holds on the test images.

    Args:
      test: maps (H, W) of one score of one member.
      normal: the same of normal images.
      masks: bool (H, W), of the test images.
      ids: of the test images.
      part: of a whole image that what is held out of each is.
      settings: `config.score`.

    Returns:
      `calibration`: see `semad.scoring.calibration.calibrate`, with `pixel_test` and `image_test`,
      what the test images without a defect achieve (None without such); `images`: a row per test
      image; `image_level`: AUROC and average precision of the images' scores.
    """
    rates = Rates(settings.threshold_rate, settings.pixel_rate)
    thresholds, scorer, calibration, _ = calibrate(
        normal, rates, settings.pooling, settings.min_area, part
    )
    scores = np.array([scorer(values) for values in test])
    labels = np.array([mask.any() for mask in masks])
    clean = np.flatnonzero(~labels).tolist()
    if len(clean):
        groups = {"pixel": [test[i].ravel() for i in clean], "image": [scores[[i]] for i in clean]}
        calibration |= {
            f"{name}_test": share_above(group, [getattr(thresholds, name)] * len(clean))
            for name, group in groups.items()
        }
    rows = zip(ids, scores, test, masks, strict=True)
    return {
        "calibration": calibration,
        "images": [_row(*row, thresholds) for row in rows],
        "image_level": ranking(labels, scores),
    }


def _row(
    name: str, score: float, values: np.ndarray, mask: np.ndarray, thresholds: Thresholds
) -> dict[str, Any]:
    shares = pixels.coverage(values, mask, thresholds.pixel)
    return {
        "image": name,
        "anomalous": bool(mask.any()),
        "score": float(score),
        "flagged": bool(score > thresholds.image),
        "defects": len(shares),
        "found": float(shares.mean()) if len(shares) else None,
        "false_positive_rate": _rate(values[~mask], thresholds.pixel),
    } | ranking(mask.ravel(), values.ravel())


def of_tiles(
    scores: np.ndarray,
    labels: np.ndarray,
    numbers: np.ndarray,
    holdout: np.ndarray,
    holdout_numbers: np.ndarray,
    ids: Sequence[str],
    rate: float,
    limit: float,
) -> dict[str, Any]:
    """The same of tiles, scored one by one.

    Args:
      scores, labels, numbers: of the test tiles, (N,): one score of one member, True where
        anomalous, and which test image each is of.
      holdout, holdout_numbers: of held-out normal tiles, (M,).
      ids: of the test images.
      rate: of false positives that was asked for.
      limit: the threshold.
    """
    groups = [holdout[holdout_numbers == number] for number in np.unique(holdout_numbers)]
    calibration: dict[str, Any] = {"rate": rate, "images": len(groups)}
    calibration["tile"] = achieved(groups, rate)
    parts = {number: numbers == number for number in np.unique(numbers)}
    clean = [scores[part] for part in parts.values() if not labels[part].any()]
    if clean:
        calibration["tile_test"] = share_above(clean, [limit] * len(clean))
    return {
        "calibration": calibration,
        "images": [
            {
                "image": ids[number],
                "anomalous": bool(labels[part].any()),
                "score": float(scores[part].max()),
                "tiles": int(part.sum()),
                "anomalous_tiles": int(labels[part].sum()),
                "false_positive_rate": _rate(scores[part & ~labels], limit),
            }
            | ranking(labels[part], scores[part])
            for number, part in parts.items()
        ],
    }


def _rate(scores: np.ndarray, limit: float) -> float | None:
    return float((scores > limit).mean()) if scores.size else None
