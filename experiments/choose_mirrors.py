"""Which mirror images and stride should maps have? Asked of synthetic defects in normal images.

python experiments/choose_mirrors.py runs/recommended_* --output mirrors.json

For every member of every trained run it maps held-out normal images with defects planted into them
(`semad.selection.validator`), in each way of `WAYS`, and writes how well the best score at its best
smoothing finds them, and how long the maps took. No test image is read for it.
"""

import argparse
import json
import sys
import time
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from semad import pipeline
from semad.commandline import one_line_errors
from semad.config import files
from semad.run.system import scoring_state
from semad.run.workdir import restore
from semad.scoring.batched import make_scorer
from semad.scoring.maps import map_images
from semad.selection.validator import rank, try_on
from semad.utils.files import write_text
from semad.utils.versions import versions


class Way(NamedTuple):
    """Values of `config.score`."""

    flips: str
    stride: int


WAYS = [
    *(Way("all", 32), Way("none", 32)),
    *(Way("alternate", stride) for stride in (32, 28, 24, 16)),
]


def values(workdir: Path) -> list[dict[str, Any]]:
    """For each member and way the validator's `value` and the `seconds` of processor time."""
    run = pipeline.prepare_in(workdir, files.load(workdir))
    state = restore(workdir, run.system)
    rows = []
    for number, way in ((n, way) for n in range(len(run.system.members)) for way in WAYS):
        member = scoring_state(run.system, state, number)
        scorer = make_scorer(run.method._replace(flips=way.flips == "all"), maps=True)
        tiling = run.system.scoring.tiling._replace(
            stride=way.stride, alternate=way.flips == "alternate", window=0
        )
        mapper = partial(map_images, scorer, member, tiling=tiling)
        next(mapper(run.holdout[:1]))  # compiles
        start = time.process_time()
        trial = try_on(mapper, run.holdout)
        seconds = time.process_time() - start
        best = rank(trial, excluded_families=run.method.excluded_families)[0]
        row = {"dataset": run.source.name, "member": number} | way._asdict()
        rows.append(row | {"value": round(best.value, 4), "seconds": round(seconds, 2)})
        print(row | rows[-1], flush=True)
    return rows


def main() -> None:
    """Prints a line for each member and way, then the means of each way over all members."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workdirs", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for workdir in arguments.workdirs:
        rows += values(workdir)
        if arguments.output:
            content = {"command": "experiments/choose_mirrors.py", "versions": versions()}
            write_text(arguments.output, json.dumps(content | {"runs": rows}, indent=1) + "\n")
    for way in WAYS:
        chosen = [row["value"] for row in rows if (row["flips"], row["stride"]) == way]
        print(f"{way.flips}, stride {way.stride}: mean {mean(chosen):.4f}")


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main())
