"""semad finds defects in scanning-electron-microscope images by adversarial networks.

- `train_and_evaluate(config, workdir)`: what `main.py` calls.
- `restore(workdir)`: the networks of a trained run, for latents, reconstructions, scores and maps.
- `load(workdir)`: a trained detector, in the manner of scikit-learn.
- `Detector(config)`: the same, to be fitted.
- `fibres.measure(image, mask, nm_per_pixel)`: diameters, directions, porosity and pores.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semad import fibres
    from semad.inference.detector import Detector, load
    from semad.inference.model import restore
    from semad.pipeline import train_and_evaluate

__all__ = ["Detector", "fibres", "load", "restore", "train_and_evaluate"]

_PLACES = {
    "Detector": "semad.inference.detector",
    "load": "semad.inference.detector",
    "restore": "semad.inference.model",
    "train_and_evaluate": "semad.pipeline",
}


def __getattr__(name: str) -> Any:
    """The public names, imported when first used: they bring JAX along."""
    if name == "fibres":
        return import_module("semad.fibres")
    if name not in _PLACES:
        raise AttributeError(f"module 'semad' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
