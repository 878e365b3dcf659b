"""Which smoothing of maps should be the default? Asked of synthetic defects in normal images.

python experiments/choose_smoothing.py runs/nanofibres_* --output smoothing.json

For the first member of every trained run it ranks every smoothing of the system's own score and of
`ssim` on held-out normal images with defects planted into them (`semad.selection.validator`), and
names the σ whose average over runs and scores is highest. No test image is read for it.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

from tqdm import tqdm

from semad import pipeline
from semad.commandline import one_line_errors
from semad.config import files
from semad.run.system import scoring_state
from semad.run.workdir import restore
from semad.scoring.batched import make_scorer
from semad.scoring.maps import map_images
from semad.selection.validator import SMOOTHINGS, rank, try_on
from semad.utils.files import write_text
from semad.utils.versions import versions

STRIDE = 8
COMMON_SCORE = "ssim"


def values(workdir: Path) -> dict[str, Any]:
    """`dataset`, `method`, and for each score the validator's value at each of `SMOOTHINGS`."""
    run = pipeline.prepare_in(workdir, files.load(workdir))
    own = scoring_state(run.system, restore(workdir, run.system), 0)
    tiling = run.system.scoring.tiling._replace(stride=STRIDE, window=0)
    scorer = make_scorer(run.method, maps=True)
    mapper = partial(map_images, scorer, own, tiling=tiling)
    ranked = rank(try_on(mapper, run.holdout), excluded_families=run.method.excluded_families)
    found = {one.setting: one for one in ranked}
    names = {setting.score for setting in found}
    scores = [name for name in (run.method.default_score, COMMON_SCORE) if name in names]
    return {
        "dataset": run.source.name,
        "method": run.method.name,
        "best": ranked[0].setting._asdict() | {"value": round(ranked[0].value, 4)},
        "scores": {
            name: [round(found[name, sigma].value, 4) for sigma in SMOOTHINGS] for name in scores
        },
    }


def main() -> None:
    """Ranks, and prints one line per run and score, then the choice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workdirs", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    arguments = parser.parse_args()
    with one_line_errors():
        rows = [values(workdir) for workdir in tqdm(arguments.workdirs, unit="run")]
    columns = [row["scores"][name] for row in rows for name in row["scores"]]
    means = [round(mean(column), 4) for column in zip(*columns, strict=True)]
    chosen = SMOOTHINGS[means.index(max(means))]
    report = {
        "command": "python experiments/choose_smoothing.py runs/nanofibres_*",
        "stride": STRIDE,
        "smoothings": SMOOTHINGS,
        "runs": rows,
        "mean": means,
        "chosen": chosen,
        "versions": versions(),
    }
    for row in rows:
        for name, column in row["scores"].items():
            print(f"{row['dataset']:<12} {row['method']:<14} {name:<12}", *column)
    print(f"{'mean':<40}", *means, f"-> {chosen}", file=sys.stderr)
    if arguments.output:
        write_text(arguments.output, json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
