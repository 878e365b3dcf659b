"""Which share of a map's pixels should `top` average? Asked of defects planted into normal images.

python experiments/choose_pooling.py runs/recommended_* --output pooling.json

For each trained run it maps the normal images, and held-out ones with a planted defect each, small
or large in turn (`semad.selection.validator`). For each pooling it writes the share of the planted
images above the threshold that the normal images have for `config.score.threshold_rate`. Runs need
as many normal images as that rate takes, 19 for .05. No test image is read for it.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from semad import pipeline
from semad.commandline import one_line_errors
from semad.config import files
from semad.inference.detector import load
from semad.scoring.image_scores import pooled, scales_of, top_mean
from semad.scoring.thresholds import conformal
from semad.selection.validator import WEIGHTS, try_on
from semad.utils.files import write_text
from semad.utils.versions import versions

SHARES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1)
SEEDS = 3  # of the defects


def levels(values: np.ndarray, min_area: int) -> list[float]:
    """`max`, and the mean of each share, of one map (H, W)."""
    return [pooled(values, "max", min_area), *(top_mean(values, share) for share in SHARES)]


def values_of(workdir: Path) -> dict[str, Any]:
    """The share of planted images flagged, by pooling; `max or s` is `several` with that share."""
    run = pipeline.prepare_in(workdir, files.load(workdir))
    detector, score = load(workdir), run.settings.score
    of = partial(levels, min_area=score.min_area)
    normal = np.array([of(detector.anomaly_map(image)) for image in run.normal.images])
    planted = []
    for seed in range(SEEDS):
        trial = try_on(
            lambda images: ({"map": detector.anomaly_map(image)} for image in images),
            run.holdout,
            seed,
            0.0,
            large=True,
        )
        pairs = zip(trial.planted, trial.maps, strict=True)
        planted += [of(maps["map"]) for defect, maps in pairs if WEIGHTS[defect.family] == 1]
    names = ["max", *(f"{share:g}" for share in SHARES)]
    ways = {name: [number] for number, name in enumerate(names)}
    ways |= {f"max or {name}": [0, number] for number, name in enumerate(names) if number}
    row: dict[str, Any] = {"dataset": run.source.name, "normal": len(normal)}
    row |= {"planted": len(planted), "rate": score.threshold_rate, "flagged": {}}
    for name, columns in ways.items():
        location, scale = scales_of(normal[:, columns])
        both = [
            ((part[:, columns] - location) / scale).max(axis=1)
            for part in (normal, np.array(planted))
        ]
        above = both[1] > conformal(both[0], score.threshold_rate)
        row["flagged"][name] = round(float(above.mean()), 3)
    return row


def main() -> None:
    """Prints a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdirs", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    arguments = parser.parse_args()
    rows = []
    for workdir in arguments.workdirs:
        rows.append(values_of(workdir))
        print(rows[-1], flush=True)
        if arguments.output:
            content = {"command": "experiments/choose_pooling.py", "versions": versions()}
            write_text(arguments.output, json.dumps(content | {"runs": rows}, indent=1) + "\n")


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main())
