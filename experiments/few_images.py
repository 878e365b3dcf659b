"""How few normal images keep the rate of false alarms, and what they find: calibrated on draws.

python experiments/few_images.py runs/tiles runs/fibres --output experiments/results/few_images.json

Maps the test images of trained runs. From the good ones among them, which training never saw, it
draws so many to calibrate on, again and again; the others and the defective ones are scored. It
compares the poolings `max` and `several`, as `semad.scoring.extrapolation` extrapolates them, with
the highest score of the images drawn. The table is in docs/results/maps.md.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from paths import RESULTS
from rows import write_rows
from verdicts import TITLES

from semad.commandline import one_line_errors
from semad.config import files
from semad.errors import UserError
from semad.inference.detector import load
from semad.reports.tables import markdown_line
from semad.run.prepare import prepare
from semad.scoring.extrapolation import FewImages, few_images
from semad.scoring.image_scores import levels_of

COUNTS = (3, 5, 8, 12, 18)
RATE = 0.05
DRAWS = 300
_SEED = 0
_RULES = {"max": "max", "several": "several", "highest": "the highest score"}
_HEAD = ("data", "normal images", *(f"{rule}: good, defective" for rule in _RULES.values()))


def rates_of(workdir: Path) -> dict[str, Any]:
    """The shares of good and of defective images flagged, means over draws, by count and rule.

    Raises:
      UserError: for too few good images.
    """
    settings = files.load(workdir)
    run, detector = prepare(settings), load(workdir)
    labels = run.source.labels
    if (~labels).sum() <= max(COUNTS):
        raise UserError(
            f"{workdir}: {(~labels).sum()} good test images; {max(COUNTS)} are drawn and others "
            "scored, so more of them are needed"
        )
    maps = [detector.anomaly_map(image) for image in run.source.test]
    levels = levels_of(maps, "several", settings.score.min_area)
    few = few_images(maps, levels, "several", settings.score.min_area)
    random = np.random.default_rng(_SEED)
    row: dict[str, Any] = {"dataset": run.source.name, "good": int((~labels).sum())}
    row |= {"defective": int(labels.sum()), "rate": RATE, "draws": DRAWS, "flagged": {}}
    for count in COUNTS:
        drawn = [random.choice(np.flatnonzero(~labels), count, replace=False) for _ in range(DRAWS)]
        row["flagged"][str(count)] = {
            rule: [
                round(float(share), 4)
                for share in np.mean([_shares(few, labels, some, rule) for some in drawn], axis=0)
            ]
            for rule in _RULES
        }
    return row


def _shares(few: FewImages, labels: np.ndarray, drawn: np.ndarray, rule: str) -> list[float]:
    """Of the good images that were not drawn, and of the defective ones, the shares flagged."""
    flagged = _flagged(few, drawn, rule)
    others = ~labels
    others[drawn] = False
    return [flagged[others].mean(), flagged[labels].mean()]


def _flagged(few: FewImages, drawn: np.ndarray, rule: str) -> np.ndarray:
    if rule == "highest":
        return few.levels[:, 0] > few.levels[drawn, 0].max()
    levels = few.levels if rule == "several" else few.levels[:, :1]
    groups = [few.groups[number] for number in drawn]
    used = few._replace(pooling=rule, levels=levels[drawn], groups=groups)
    return (levels > used.limits(RATE)).any(axis=1)


def table() -> str:
    """A row per run and number of images, in per cent, for docs/results/maps.md."""
    lines = [markdown_line(_HEAD), markdown_line(["---"] * len(_HEAD))]
    for run in json.loads((RESULTS / "few_images.json").read_text())["runs"]:
        name = TITLES.get(run["dataset"], run["dataset"])
        for count, flagged in run["flagged"].items():
            shares = ["{:.1f}, {:.0f}".format(*(100 * x for x in flagged[rule])) for rule in _RULES]
            lines.append(markdown_line([name, count, *shares]))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with one_line_errors():
        write_rows(__doc__, rates_of)
