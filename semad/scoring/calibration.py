"""Thresholds that a workdir remembers, so that no call maps the held-out images a second time."""

import contextlib
import json
from pathlib import Path
from typing import Any

from semad.files import write_text
from semad.scoring.thresholds import Thresholds

FILE = "calibration.json"

Calibration = tuple[Thresholds, dict[str, Any]]
"""Of `semad.scoring.thresholds.calibrate`."""


def recall(workdir: Path, origin: dict[str, Any]) -> Calibration | None:
    """The last calibration, if it is of the same origin: training step, member, settings."""
    path = workdir / FILE
    try:
        found = json.loads(path.read_text())
        if found["origin"] == json.loads(json.dumps(origin)):
            return Thresholds(**found["thresholds"]), found["calibration"]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # there is none, or it is damaged: it is made again
    return None


def remember(workdir: Path, origin: dict[str, Any], calibration: Calibration) -> None:
    """Writes it, where the workdir can be written to."""
    thresholds, record = calibration
    content = {"origin": origin, "thresholds": thresholds._asdict(), "calibration": record}
    with contextlib.suppress(OSError):
        write_text(workdir / FILE, json.dumps(content, indent=2) + "\n")
