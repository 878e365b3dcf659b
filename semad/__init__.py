"""semad finds defects in scanning-electron-microscope images by adversarial networks.

`semad.load(workdir)` restores a trained detector, `semad.Detector(config)` trains one.
"""

from typing import Any

__all__ = ["Detector", "load"]


def __getattr__(name: str) -> Any:
    """`Detector` and `load`, imported when first used: they bring JAX along."""
    if name not in __all__:
        raise AttributeError(f"module 'semad' has no attribute {name!r}")
    from semad import detector

    return getattr(detector, name)
