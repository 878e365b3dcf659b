"""`--mode export`: the scoring of patches as one file that needs JAX alone, not semad."""

import json
from pathlib import Path

import jax
import numpy as np
from jax import export as jax_export

from semad import backend, experiment
from semad import config as configs
from semad.detector import Detector
from semad.files import new_folder, write_bytes, write_text
from semad.scoring.batched import make_scorer

PLATFORMS = ("cpu", "cuda")
ARTEFACT = "score.stablehlo"


def export(detector: Detector, output: Path) -> Path:
    """Writes `score.stablehlo`, a serialised `jax.export.Exported`, and `model.json` beside it.

    The function takes patches, (N, P, P, C) of uint8 or uint16 as the held-out images of the run
    are, and gives score name -> float32 (N,). N is free; but a system that searches (AnoGAN) takes
    gradients of one convolution per patch, which JAX exports for a fixed N only: `patches` in
    `model.json`. Weights are inside. `model.json` says how to call it, and the thresholds; those
    are of maps, see `semad.scoring.maps`.

    Args:
      detector: a trained one.
      output: a folder; one that exists is kept as `<name>.1`.

    Returns:
      The folder.
    """
    config, size = detector.config_, detector.config_.data.patch_size
    dtype = detector.holdout_[0].dtype
    scorer, member = make_scorer(detector.method_), detector.scoring_
    searches = detector.method_.reconstruct is None
    fixed = (config.score.chunk or backend.plan().score_chunk) if searches else None
    (count,) = (fixed,) if searches else jax_export.symbolic_shape("n")
    patches = jax.ShapeDtypeStruct((count, size, size, config.data.channels), dtype)
    exported = jax_export.export(
        jax.jit(lambda patches: dict(scorer(member, patches).scores)), platforms=PLATFORMS
    )(patches)
    about = {
        "system": config.method,
        "score": experiment.score_name(config, detector.method_),
        "patches": fixed,  # per call; null is any number
        "patch_size": size,
        "channels": config.data.channels,
        "dtype": str(dtype),
        "value_range": [0, int(np.iinfo(dtype).max)],
        "platforms": PLATFORMS,
        "map": {
            name: config.score[name] for name in ("stride", "smoothing", "pooling", "min_area")
        },
        "thresholds": detector.thresholds_._asdict(),
        "calibration": detector.calibration_,
        "versions": configs.versions(),
    }
    with new_folder(output) as folder:
        write_bytes(folder / ARTEFACT, lambda file: file.write(exported.serialize()))
        write_text(folder / "model.json", json.dumps(about, indent=2) + "\n")
    return output
