"""How many defective and good images evaluated runs flag, at the rate that they were asked for.

python experiments/verdicts.py runs/tiles runs/fibres --output experiments/results/verdicts.json

Reads `evaluation/pixel/metrics.json` of each run; the table is in docs/results/maps.md.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from paths import RESULTS

from semad.commandline import one_line_errors
from semad.evaluation.compared import read_metrics
from semad.reports.tables import markdown_line
from semad.utils.files import write_text
from semad.utils.versions import versions

_HEAD = ("data", "normal images", "threshold", "score of an image", "asked", "good ones flagged")
_HEAD += ("defective ones flagged", "images: AUROC", "by kind")


def verdicts(workdir: Path) -> dict[str, Any]:
    """Counts of images and of flagged ones, by kind of defect, with what the threshold rests on."""
    metrics = read_metrics(workdir / "evaluation" / "pixel")
    calibration, images = metrics["calibration"], metrics["images"]
    counted = {
        name: Counter(_kind(row) for row in images if row["flagged"] or name == "images")
        for name in ("images", "flagged")
    }
    return {
        "dataset": metrics["dataset"],
        "steps": metrics["step"],
        **{key: calibration[key] for key in ("images", "rule", "pooling", "rate", "seen")},
        "image_auroc": round(metrics["image_level"]["auroc"], 4),
        "kinds": {
            kind: [counted["flagged"][kind], count]
            for kind, count in sorted(counted["images"].items())
        },
    }


def _kind(row: dict[str, Any]) -> str:
    """The folder of a defective image, as far as it has one."""
    if not row["anomalous"]:
        return "good"
    folder, _, name = row["image"].rpartition("/")
    return folder if name and folder else "defective"


def table() -> str:
    """A row per run, for docs/results/maps.md."""
    lines = [markdown_line(_HEAD), markdown_line(["---"] * len(_HEAD))]
    for run in json.loads((RESULTS / "verdicts.json").read_text())["runs"]:
        kinds = dict(run["kinds"])
        good = kinds.pop("good")
        flagged, count = (sum(column) for column in zip(*kinds.values(), strict=True))
        named = ", ".join(f"{kind} {some} of {all_}" for kind, (some, all_) in kinds.items())
        cells = [run["dataset"], f"{run['images']}", run["rule"], f"`{run['pooling']}`"]
        cells += [f"{100 * run['rate']:g} %", "{} of {}".format(*good), f"{flagged} of {count}"]
        cells += [f"{run['image_auroc']:.3f}", named if len(kinds) > 1 else "–"]
        lines.append(markdown_line(cells))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Writes the counts of all workdirs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdirs", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    content = {"versions": versions(), "runs": [verdicts(path) for path in arguments.workdirs]}
    write_text(arguments.output, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main())
