"""What results depend on beside the image itself."""

from typing import Any

from semad.data import images
from semad.data.images import Reading
from semad.inference.detector import Detector
from semad.run.workdir import load_bit_depth

_READING = ("bit_depth", "data_bar", "pages")


def reading_of(detector: Detector) -> Reading:
    """How new images are read: by the training images' bit depth, where the config has none."""
    reading = images.reading_of(detector.settings_.data)
    known = load_bit_depth(detector.workdir_) if detector.workdir_ else 0
    return reading._replace(bit_depth=reading.bit_depth or known)


def describe(detector: Detector) -> dict[str, Any]:
    """What results of two detectors are told apart by."""
    settings, reading = detector.settings_, reading_of(detector)
    about: dict[str, Any] = {"system": settings.method, "score": detector.system_.scoring.score}
    about |= {f"config.score.{name}": value for name, value in settings.score.of_scores.items()}
    if settings.score.fibres:  # not measured of images that were scored without
        about["config.score.fibres"] = True
    about |= {f"config.data.{name}": getattr(reading, name) for name in _READING}
    # Thresholds stand for the weights; to five digits, since another machine may round otherwise.
    limits = {"image": detector.thresholds_.image, "pixel": detector.thresholds_.pixel}
    about["pooling"] = detector.scorer_.pooling  # which may not be what the config asks for
    return about | {f"threshold.{name}": float(f"{value:.5g}") for name, value in limits.items()}
