"""`--mode export`: the scoring of patches as one file that needs JAX alone, not semad."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as jax_export

from semad import backend, experiment
from semad import config as configs
from semad.data.patches import tile_items
from semad.detector import Detector
from semad.errors import UserError
from semad.files import check_replaceable, new_folder, write_bytes, write_text
from semad.scoring.batched import make_scorer, patches_per_call, together
from semad.scoring.items import score_items
from semad.scoring.thresholds import conformal

PLATFORMS = ("cpu", "cuda")
ARTEFACT = "score.stablehlo"
ABOUT = "model.json"


def scoring_function(detector: Detector) -> Callable[[jax.Array], dict[str, Any]]:
    """What is exported: patches, (N, P, P, C) of integers, to `scores` and `map`.

    `scores` is score name -> float32 (N,); `map`, float32 (N, P, P), what the detector's score says
    of each pixel.
    """
    scorer = together(make_scorer(detector.method_, maps=True))
    name = experiment.score_name(detector.config_, detector.method_)

    def score(patches: jax.Array) -> dict[str, Any]:
        evidence = scorer(detector.members_, patches)
        values = evidence.maps.get(name, evidence.scores[name][:, None, None])
        return {"scores": evidence.scores, "map": jnp.broadcast_to(values, patches.shape[:3])}

    return score


def export(detector: Detector, output: Path) -> Path:
    """Writes `score.stablehlo`, a serialised `jax.export.Exported`, and `model.json` beside it.

    The function is `scoring_function`'s, the weights inside. N is free; but a system that searches
    (AnoGAN) takes gradients of one convolution per patch, which JAX exports for a fixed N only:
    `patches` in `model.json`. It also says how to call it, and the thresholds: `patch` of a patch's
    score, `pixel` and `image` of maps blended as `semad.scoring.maps` does.

    Args:
      detector: a trained one.
      output: a new folder, or one of an earlier export, which is kept as `<name>.1`.

    Returns:
      The folder.

    Raises:
      UserError: when something else stands there, or maps are not made by patches.
    """
    check_replaceable(output, ABOUT)
    if detector.method_.convolutional and detector.config_.score.window:
        raise UserError(
            "the artefact scores patches, but these thresholds are of maps made by windows of "
            f"{detector.config_.score.window} pixels; add --config.score.window=0"
        )
    config, size = detector.config_, detector.config_.data.patch_size
    dtype = detector.holdout_[0].dtype
    searches = detector.method_.searches
    fixed = config.score.chunk or backend.plan().latents_together if searches else None
    (count,) = (fixed,) if searches else jax_export.symbolic_shape("n")
    patches = jax.ShapeDtypeStruct((count, size, size, config.data.channels), dtype)
    exported = jax_export.export(jax.jit(scoring_function(detector)), platforms=PLATFORMS)(patches)
    about = {
        "system": config.method,
        "score": experiment.score_name(config, detector.method_),
        "patches": fixed,  # per call; null is any number
        "patch_size": size,
        "channels": config.data.channels,
        "dtype": str(dtype),
        "value_range": [0, int(np.iinfo(dtype).max)],
        "normalisation": detector.method_.normalisation,  # inside the artefact, for the record
        "platforms": PLATFORMS,
        "map": {
            name: config.score[name] for name in ("stride", "smoothing", "pooling", "min_area")
        },
        "thresholds": {"patch": _patch_threshold(detector)} | detector.thresholds_._asdict(),
        "calibration": detector.calibration_,
        "versions": configs.versions(),
    }
    with new_folder(output) as folder:
        write_bytes(folder / ARTEFACT, lambda file: file.write(exported.serialize()))
        write_text(folder / ABOUT, json.dumps(about, indent=2) + "\n")
    return output


def _patch_threshold(detector: Detector) -> float:
    """Split-conformal, on the held-out normal images' tiles."""
    config = detector.config_
    size = config.data.patch_size
    scored = score_items(
        together(make_scorer(detector.method_)),
        detector.members_,
        detector.holdout_,
        tile_items(detector.holdout_, size, size),
        patch_size=size,
        chunk=patches_per_call(config, detector.method_),
        label="scoring held-out normal patches",
    )
    values = scored.values[experiment.score_name(config, detector.method_)]
    return conformal(values, config.score.threshold_rate)
