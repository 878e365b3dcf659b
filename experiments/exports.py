"""Compares what a trained run exports with semad itself: maps, verdicts and CPU time.

python experiments/exports.py runs/recommended runs/bigan

Each run is exported to ONNX and StableHLO, and `score.py` of either export scores 40 images of
nanofibres that training did not see. The results join those of other systems in
experiments/results/exports.json; `python experiments/results.py table` makes the table of
docs/python.md of it. Times are CPU seconds over all threads, so that a busy machine counts little.
"""

import argparse
import json
import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from paths import RESULTS

import semad
from semad.commandline import FORMATS, one_line_errors
from semad.config.settings import with_values
from semad.data import sources
from semad.errors import UserError
from semad.inference import score
from semad.inference.detector import Detector
from semad.inference.export import export

FILE = RESULTS / "exports.json"
COLUMNS = (
    *("system", "format", "largest difference", "over the largest value", "equal verdicts"),
    *("of them anomalous", "CPU seconds per image", "semad's"),
)


def compare(workdir: Path) -> list[dict[str, Any]]:
    """A row for each format that the system can be written in."""
    detector = semad.load(workdir)
    changes = {"data.name": "nanofibres", "data.test_images": 40, "data.seed": 1}
    images = sources.load(with_values(detector.settings_, changes).data).test
    maps, seconds = _timed(detector.anomaly_map, images)
    scores = np.array([detector.score_map(values) for values in maps])
    rows = []
    for file_format in FORMATS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                export(detector, Path(folder) / "export", file_format)
            except UserError as error:
                print(error)
                continue
            row = _row(detector, Path(folder) / "export", images, maps, scores)
        rows.append(row | {"semad_seconds": seconds})
    return rows


def _row(
    detector: Detector,
    folder: Path,
    images: Sequence[np.ndarray],
    maps: Sequence[np.ndarray],
    scores: np.ndarray,
) -> dict[str, Any]:
    model, patches = score.load(folder)
    found, seconds = _timed(lambda image: score.anomaly_map(image, model, patches), images)
    pairs = zip(found, maps, strict=True)
    theirs = np.array([score.image_score(values, model) for values in found])
    ours = scores > detector.thresholds_.image
    verdicts = theirs > model["thresholds"]["image"]
    return {
        "system": model["system"],
        "format": model["format"],
        "images": len(images),
        "difference": max(float(np.abs(a - b).max()) for a, b in pairs),
        "largest": max(float(np.abs(values).max()) for values in maps),
        "equal_verdicts": int((verdicts == ours).sum()),
        "anomalous": int(ours.sum()),
        "seconds": seconds,
        "versions": model["versions"],
    }


def _timed(
    function: Callable[[np.ndarray], np.ndarray], images: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], float]:
    """The maps of images, and the CPU time per image after the first, which compiles."""
    made = [function(images[0])]
    start = time.process_time()
    made += [function(image) for image in images[1:]]
    return made, (time.process_time() - start) / (len(images) - 1)


def record(workdir: Path) -> None:
    """Adds a run's rows to the results, in place of earlier ones of its system."""
    rows = compare(workdir)
    kept = json.loads(FILE.read_text()) if FILE.is_file() else []
    kept = [row for row in kept if row["system"] != rows[0]["system"]]
    FILE.write_text(json.dumps(kept + rows, indent=1) + "\n")


def table() -> str:
    """The recorded results in Markdown."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "| --- " * len(COLUMNS) + "|"]
    for row in json.loads(FILE.read_text()):
        cells = (
            row["system"],
            row["format"],
            f"{row['difference']:.1e}",
            f"{row['difference'] / row['largest']:.1e}",
            f"{row['equal_verdicts']} of {row['images']}",
            str(row["anomalous"]),
            *(f"{row[key]:.2g}" for key in ("seconds", "semad_seconds")),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Compares the runs of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workdirs", nargs="+", type=Path, help="trained runs")
    arguments = parser.parse_args()
    logging.getLogger("semad").setLevel(logging.ERROR)
    with one_line_errors():
        for workdir in arguments.workdirs:
            record(workdir)


if __name__ == "__main__":
    main()
