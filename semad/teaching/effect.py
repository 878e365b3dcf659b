"""What teaching changed: on planted defects, on held-out normal images, and under the outlines."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy import stats
from sklearn import metrics

from semad.data.annotated import AnnotatedImage
from semad.inference.detector import Detector
from semad.scoring.batched import ensemble, make_scorer, over_devices
from semad.scoring.maps import map_images, smooth
from semad.scoring.thresholds import CONFIDENCE
from semad.selection.validator import Trial, try_on
from semad.synthetic.planted import FAMILIES


class _Tried(NamedTuple):
    """A detector on planted defects: its maps are smoothed as it smooths them.

    Attributes:
      trial: the images.
      planted, clean: maps (H, W) of planted and of normal images.
    """

    trial: Trial
    planted: list[np.ndarray]
    clean: list[np.ndarray]


def effect(before: Detector, after: Detector, given: Sequence[AnnotatedImage]) -> dict[str, Any]:
    """Compares a detector with what teaching made of it.

    Args:
      before, after: the detectors.
      given: what it was taught.

    Returns:
      `planted`: for each family of planted defects, and for `all` that count, the average precision
      of an image's pixels, its mean over images, `before` and `after`; their `difference` with
      Student's 95 % `interval`, and whether it got `worse` (the interval lies below 0). `normal`:
      of the held-out normal images, how many are flagged, and the outlined share of their pixels,
      before and after, at each detector's thresholds; `outlines`: of the annotated images, which
      teaching saw, the share of the pixels outlined as defects that lies above the threshold for
      pixels, and of those outlined as normal.
    """
    tried = _try(before), _try(after)
    excluded = before.method_.excluded_families
    families = {name: [name] for name in FAMILIES}
    counted = {"all": [name for name in FAMILIES if name not in excluded]}
    return {
        "planted": {
            name: _compared(tried, members) for name, members in (counted | families).items()
        },
        "normal": {
            "images": len(tried[0].clean),
            "before": _alarms(before, tried[0]),
            "after": _alarms(after, tried[1]),
        },
        "outlines": [_outlined(before, after, image) for image in given],
    }


def in_words(made: dict[str, Any]) -> list[str]:
    """An effect in sentences: what was learnt, and whether anything got worse."""
    lines = []
    for row in made["outlines"]:
        parts = [
            f"of the pixels outlined as {'normal' if name == 'normal' else 'defects'} "
            f"{row[name]['before']:.0%} were above the threshold, now {row[name]['after']:.0%}"
            for name in ("defects", "normal")
            if name in row
        ]
        lines.append(f"{row['file']}: {'; '.join(parts)}")
    planted, normal = made["planted"], made["normal"]
    lines.append(
        f"planted defects: average precision {planted['all']['before']:.3f}, now "
        f"{planted['all']['after']:.3f} ({_interval(planted['all'])})"
    )
    names = [name for name, row in planted.items() if row["worse"]]
    worse = [f"{name} ({_interval(planted[name])})" for name in names]
    lines.append(f"worse than before: {', '.join(worse)}" if worse else "none of them got worse")
    flagged = [f"{normal[when]['flagged']} of {normal['images']}" for when in ("before", "after")]
    lines.append(f"held-out normal images that are flagged: {flagged[0]}, now {flagged[1]}")
    return lines


def _interval(row: dict[str, Any]) -> str:
    if row["interval"] is None:
        return f"{row['difference']:+.3f}"
    low, high = row["interval"]
    return f"{row['difference']:+.3f}, 95 % {low:+.3f} to {high:+.3f}"


def _try(detector: Detector) -> _Tried:
    system, sigma = detector.system_, detector.settings_.score.smoothing
    scorer = over_devices(ensemble(make_scorer(system.method, maps=True)))
    mapper = partial(map_images, scorer, detector.members_, tiling=system.scoring.tiling)
    trial = try_on(
        mapper, detector.normal_.holdout, system.settings.seed, label="mapping planted defects"
    )
    name = system.scoring.score
    planted, clean = (
        [smooth(maps[name], sigma) for maps in part] for part in (trial.maps, trial.clean)
    )
    return _Tried(trial, planted, clean)


def _compared(tried: tuple[_Tried, _Tried], families: Sequence[str]) -> dict[str, Any]:
    precisions = np.array(
        [
            [
                metrics.average_precision_score(planted.mask.ravel(), values.ravel())
                for planted, values in zip(part.trial.planted, part.planted, strict=True)
                if planted.family in families
            ]
            for part in tried
        ]
    )
    interval = _interval_of(precisions[1] - precisions[0])
    before, after = precisions.mean(axis=1).tolist()
    return {
        "before": before,
        "after": after,
        "difference": after - before,
        "interval": interval,
        "worse": interval is not None and interval[1] < 0,
    }


def _interval_of(differences: np.ndarray) -> list[float] | None:
    """Student's interval of a mean (N,); None of a single value."""
    count = len(differences)
    if count < 2:
        return None
    half = stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * stats.sem(differences)
    return [float(differences.mean() - half), float(differences.mean() + half)]


def _alarms(detector: Detector, tried: _Tried) -> dict[str, float]:
    scores = [detector.score_map(values) for values in tried.clean]
    masks = [
        detector.segment_map(values, score)
        for values, score in zip(tried.clean, scores, strict=True)
    ]
    pixels = np.concatenate([mask.ravel() for mask in masks])
    flagged = sum(score > detector.thresholds_.image for score in scores)
    return {"flagged": flagged, "outlined": float(pixels.mean())}


def _outlined(before: Detector, after: Detector, image: AnnotatedImage) -> dict[str, Any]:
    masks = {
        when: detector.anomaly_map(image.image) > detector.thresholds_.pixel
        for when, detector in (("before", before), ("after", after))
    }
    regions = {"defects": image.defects, "normal": image.normal}
    return {"file": image.name} | {
        name: {when: float(mask[region].mean()) for when, mask in masks.items()}
        for name, region in regions.items()
        if region.any()
    }
