"""`--mode export`: what makes maps and verdicts, in files that JAX or onnxruntime runs alone."""

import datetime
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as jax_export
from jaxlib.mlir.dialects import stablehlo

from semad.data.patches import tile_items
from semad.errors import UserError
from semad.inference import score as script
from semad.inference.detector import Detector
from semad.scoring.batched import ensemble, make_scorer
from semad.scoring.items import score_items
from semad.scoring.thresholds import conformal
from semad.scoring.tiling import MapTiling
from semad.types import CELL
from semad.utils import backend
from semad.utils.files import check_replaceable, new_folder, write_bytes, write_text
from semad.utils.locks import folder_lock
from semad.utils.versions import versions

_log = logging.getLogger(__name__)

PLATFORMS = ("cpu", "cuda")
ABOUT = "model.json"
SCRIPT = "score.py"
_LAST_LEVEL = " at the last level of its pyramid"
_PROMISE = (
    "by jaxlib {jaxlib}, and as jax.export promises by each built up to 6 months after it or up to "
    "3 weeks before it; count from that release, not from the export"
)


def scoring_function(
    detector: Detector, convolution: str = ""
) -> Callable[[jax.Array], dict[str, Any]]:
    """What is exported: patches, (N, P, P, C), as shares of the grey range, to scores and maps.

    The result holds every score by its name, float32 (N,), and `map`, float32 (N, P, P): what the
    detector's score says of each pixel.

    Args:
      detector: whose networks score.
      convolution: one of `semad.nets.conv.IMPLEMENTATIONS`; empty: what suits this backend.
    """
    method = detector.method_.with_convolution(convolution)
    scorer = ensemble(make_scorer(method, maps=True))
    name = detector.system_.scoring.score

    def score(patches: jax.Array) -> dict[str, Any]:
        scored = scorer(detector.members_, patches)
        values = scored.maps.get(name, scored.scores[name][:, None, None])
        return {**scored.scores, "map": jnp.broadcast_to(values, patches.shape[:3])}

    return score


def export(detector: Detector, output: Path, file_format: str = "stablehlo") -> Path:
    """Writes the artefact, `model.json` beside it, and `score.py`, which makes verdicts of both.

    The artefact, `score.stablehlo` (a serialised `jax.export.Exported`) or `score.onnx`, is
    `scoring_function`, the weights, mirror images and normalisation inside. `model.json` says how
    to call it, how maps are blended and smoothed and become the scores of images, and the
    thresholds: `patch` of a patch's score, `pixel`, `core` and `image` of maps.

    Args:
      detector: a trained one.
      output: a new folder, or one of an earlier export, which is kept as `<name>.1`.
      file_format: `stablehlo` or `onnx`.

    Returns:
      The folder.

    Raises:
      UserError: when something else stands there, another process writes there, or a system cannot
        be written in this format.
    """
    if file_format == "onnx" and detector.method_.searches:
        raise UserError(
            f"{detector.method_.name} searches for a latent of each patch, by gradients in a loop "
            "that ONNX has not; use --format=stablehlo"
        )
    with folder_lock(output, "export"):
        check_replaceable(output, ABOUT)
        tiling = _tiling(detector)
        size, channels = tiling.patch_size, detector.settings_.data.channels
        example = jax.ShapeDtypeStruct((tiling.chunk, size, size, channels), jnp.float32)
        write = {"stablehlo": _stablehlo, "onnx": _onnx}[file_format]
        content, about_format = write(detector, example)
        about = {"format": file_format, "artefact": f"score.{file_format}"}
        about |= _describe(detector, tiling) | about_format | {"versions": versions()}
        with new_folder(output) as folder:
            write_bytes(folder / about["artefact"], lambda file: file.write(content))
            write_text(folder / ABOUT, json.dumps(about, indent=2) + "\n")
            write_text(folder / SCRIPT, Path(script.__file__).read_text())
    return output


def _tiling(detector: Detector) -> MapTiling:
    """Patches, or windows as patches, of one size for all images, and how many a call takes.

    Detectors map small images by windows of another size; the artefact knows a single one: that of
    the smallest training image, or of the last level of its pyramid.
    """
    score, asked = detector.settings_.score, detector.system_.scoring.tiling
    searches = detector.method_.searches
    usual = backend.plan().latents_together if searches else backend.CPU.score_chunk
    sides = np.array([image.shape[:2] for image in detector.normal_.images]).min(axis=0)
    least = np.maximum(asked.patch_size, -(-sides // 2 ** (asked.levels - 1)))
    tiling = asked._replace(chunk=score.chunk or usual).fit(*map(int, least))
    if tiling.patch_size < asked.window // CELL * CELL:
        _log.warning(
            "the export maps by windows of %d pixels, which fit into the smallest training "
            "image%s, not of %d; larger images are mapped as with --config.score.window=%d",
            *(tiling.patch_size, _LAST_LEVEL if asked.levels > 1 else ""),
            *(asked.window, tiling.patch_size),
        )
    return tiling


def _stablehlo(detector: Detector, example: jax.ShapeDtypeStruct) -> tuple[bytes, dict[str, Any]]:
    """The artefact for any number of patches; of a system that searches, which takes gradients of
    one convolution per patch, for that of the example."""
    searches = detector.method_.searches
    count = example.shape[0] if searches else jax_export.symbolic_shape("n")[0]
    patches = jax.ShapeDtypeStruct((count, *example.shape[1:]), example.dtype)
    exported = jax_export.export(jax.jit(scoring_function(detector)), platforms=PLATFORMS)(patches)
    about = {
        "patches_fixed": searches,
        "platforms": PLATFORMS,
        "calling_convention": exported.calling_convention_version,
        "stablehlo": stablehlo.get_current_version(),
        "readable": _PROMISE.format(jaxlib=versions()["packages"]["jaxlib"]),
    }
    return bytes(exported.serialize()), about


def _onnx(detector: Detector, example: jax.ShapeDtypeStruct) -> tuple[bytes, dict[str, Any]]:
    try:
        from semad.inference import jax_to_onnx, onnx_graph
    except ImportError as error:
        raise UserError(
            f"--format=onnx needs the package {error.name}; pip install 'semad[onnx]'"
        ) from error
    function = scoring_function(detector, "native")  # other runtimes have convolutions of theirs
    content = jax_to_onnx.to_onnx(function, example, "patches")
    about = {
        "patches_fixed": True,
        "opset": onnx_graph.OPSET,
        "ir_version": onnx_graph.IR_VERSION,
        "readable": "by every runtime that reads this opset and IR version; no end is set",
    }
    return content, about


def _describe(detector: Detector, tiling: MapTiling) -> dict[str, Any]:
    """All that is beside the artefact, whatever its format."""
    settings, size = detector.settings_, detector.settings_.data.patch_size
    return {
        "system": settings.method,
        "score": detector.system_.scoring.score,
        "patches": tiling.chunk,  # per call
        "patch_size": tiling.patch_size,
        "channels": settings.data.channels,
        "dtype": "float32",
        "value_range": [0, 1],  # grey values as shares of 255 or 65535
        "items": all(image.shape[:2] == (size, size) for image in detector.normal_.images),
        "normalisation": detector.method_.normalisation,  # inside the artefact, for the record
        "map": {
            "stride": tiling.stride,
            "alternate": tiling.alternate,
            "levels": tiling.levels,  # of the image's pyramid
            "smoothing": settings.score.smoothing,
        },
        "image": detector.scorer_._asdict(),
        "thresholds": {"patch": _patch_threshold(detector, tiling.patch_size)}
        | detector.thresholds_._asdict(),
        "calibration": detector.calibration_,
        "written": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def _patch_threshold(detector: Detector, size: int) -> float | None:
    """Split-conformal, on the held-out normal images' tiles; None where none of them has one."""
    settings, normal = detector.settings_, detector.normal_.holdout
    items = tile_items(normal, size, size)
    if not len(items):
        return None
    scored = score_items(
        ensemble(make_scorer(detector.method_)),
        detector.members_,
        normal,
        items,
        patch_size=size,
        chunk=detector.system_.scoring.chunk,
        label="scoring held-out normal patches",
    )
    values = scored.values[detector.system_.scoring.score]
    return conformal(values, settings.score.threshold_rate)
