"""`--mode export`: the scoring of patches as one file that needs JAX alone, not semad."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as jax_export

from semad.data.patches import tile_items
from semad.errors import UserError
from semad.inference.detector import Detector
from semad.scoring.batched import ensemble, make_scorer
from semad.scoring.items import score_items
from semad.scoring.thresholds import conformal
from semad.utils import backend
from semad.utils.files import check_replaceable, new_folder, write_bytes, write_text
from semad.utils.locks import folder_lock
from semad.utils.versions import versions

PLATFORMS = ("cpu", "cuda")
ARTEFACT = "score.stablehlo"
ABOUT = "model.json"


def scoring_function(detector: Detector) -> Callable[[jax.Array], dict[str, Any]]:
    """What is exported: patches, (N, P, P, C) of integers, to `scores` and `map`.

    `scores` is score name -> float32 (N,); `map`, float32 (N, P, P), what the detector's score says
    of each pixel.
    """
    scorer = ensemble(make_scorer(detector.method_, maps=True))
    name = detector.system_.scoring.score

    def score(patches: jax.Array) -> dict[str, Any]:
        scored = scorer(detector.members_, patches)
        values = scored.maps.get(name, scored.scores[name][:, None, None])
        return {"scores": scored.scores, "map": jnp.broadcast_to(values, patches.shape[:3])}

    return score


def export(detector: Detector, output: Path) -> Path:
    """Writes `score.stablehlo`, a serialised `jax.export.Exported`, and `model.json` beside it.

    The function is `scoring_function`'s, the weights inside. N is free; but a system that searches
    (AnoGAN) takes gradients of one convolution per patch, which JAX exports for a fixed N only:
    `patches` in `model.json`. It also says how to call it, how a map becomes an image's score
    (`image`, see `semad.scoring.image_scores`), and the thresholds: `patch` of a patch's score,
    `pixel`, `core` and `image` of maps blended as `semad.scoring.maps` does.

    Args:
      detector: a trained one.
      output: a new folder, or one of an earlier export, which is kept as `<name>.1`.

    Returns:
      The folder.

    Raises:
      UserError: when something else stands there, another process writes there, or maps are not
        made by patches.
    """
    with folder_lock(output, "export"):
        return _export(detector, output)


def _export(detector: Detector, output: Path) -> Path:
    check_replaceable(output, ABOUT)
    if detector.method_.convolutional and detector.settings_.score.window:
        raise UserError(
            "the artefact scores patches, but these thresholds are of maps made by windows of "
            f"{detector.settings_.score.window} pixels; add --config.score.window=0"
        )
    settings, size = detector.settings_, detector.settings_.data.patch_size
    dtype = detector.normal_.images[0].dtype
    searches = detector.method_.searches
    fixed = settings.score.chunk or backend.plan().latents_together if searches else None
    (count,) = (fixed,) if searches else jax_export.symbolic_shape("n")
    patches = jax.ShapeDtypeStruct((count, size, size, settings.data.channels), dtype)
    exported = jax_export.export(jax.jit(scoring_function(detector)), platforms=PLATFORMS)(patches)
    about = {
        "system": settings.method,
        "score": detector.system_.scoring.score,
        "patches": fixed,  # per call; null is any number
        "patch_size": size,
        "channels": settings.data.channels,
        "dtype": str(dtype),
        "value_range": [0, int(np.iinfo(dtype).max)],
        "normalisation": detector.method_.normalisation,  # inside the artefact, for the record
        "platforms": PLATFORMS,
        "map": {name: getattr(settings.score, name) for name in ("stride", "smoothing")},
        "image": detector.scorer_._asdict(),
        "thresholds": {"patch": _patch_threshold(detector)} | detector.thresholds_._asdict(),
        "calibration": detector.calibration_,
        "versions": versions(),
    }
    with new_folder(output) as folder:
        write_bytes(folder / ARTEFACT, lambda file: file.write(exported.serialize()))
        write_text(folder / ABOUT, json.dumps(about, indent=2) + "\n")
    return output


def _patch_threshold(detector: Detector) -> float:
    """Split-conformal, on the held-out normal images' tiles."""
    settings = detector.settings_
    size, normal = settings.data.patch_size, detector.normal_.holdout
    scored = score_items(
        ensemble(make_scorer(detector.method_)),
        detector.members_,
        normal,
        tile_items(normal, size, size),
        patch_size=size,
        chunk=detector.system_.scoring.chunk,
        label="scoring held-out normal patches",
    )
    values = scored.values[detector.system_.scoring.score]
    return conformal(values, settings.score.threshold_rate)
