"""How many defective and good images evaluated runs flag, at the rate that they were asked for,
and how well the pixels of each kind of defect are told from those of good images.

python experiments/verdicts.py runs/tiles runs/fibres --output experiments/results/verdicts.json

Reads `evaluation/pixel` of each run, the first member's pixels; the table is in
docs/results/maps.md.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from paths import RESULTS
from rows import write_rows

from semad.commandline import one_line_errors
from semad.evaluation.compared import read_metrics
from semad.metrics import pixels
from semad.reports.tables import markdown_line

_SPLICES = ("varied", "cracks")
_HEAD = ("data", "backbone", "density", "pyramid", "cooldown", "borders", *_SPLICES)
_HEAD += ("planted defects: AP", "pixels: AUROC, AP")
_HEAD += ("images: AUROC", "good ones flagged", "defective ones flagged", "by kind (pixels: AUROC)")
TITLES = {"folder:magnetic_tile": "magnetic_tile"}


def verdicts(workdir: Path) -> dict[str, Any]:
    """Counts of images and of flagged ones, by kind of defect, with what the threshold rests on."""
    folder = workdir / "evaluation" / "pixel"
    metrics = read_metrics(folder)
    calibration, splices = metrics["calibration"], metrics["config"]["splices"]
    kinds = [_kind(row) for row in metrics["images"]]
    image_auroc = metrics["image_level"]["auroc"]  # None without good images
    member = metrics.get("members", [metrics])[0]  # of which verdicts are
    count = Counter(kinds)
    flagged = Counter(_kind(row) for row in metrics["images"] if row["flagged"])
    return {
        "dataset": metrics["dataset"],
        "backbone": bool(metrics["config"]["model"].get("backbone")),
        "density": bool(metrics["config"]["train"].get("density_epochs")),
        "pyramid": metrics["config"]["data"].get("pyramid", 1),
        "cooldown": metrics["config"]["train"].get("cooldown", 0.0),
        "borders": metrics["config"]["data"]["borders"],
        **{key: splices.get(key, 0.0) for key in _SPLICES},  # older runs had none
        "steps": metrics["step"],
        "planted": round(metrics["selection"]["chosen"]["value"], 6),
        "pixels": [round(member[key], 6) for key in ("auroc", "average_precision")],
        "image_auroc": None if image_auroc is None else round(image_auroc, 6),
        **{key: calibration[key] for key in ("images", "rule", "pooling", "rate", "seen")},
        "kinds": {kind: [flagged[kind], number] for kind, number in sorted(count.items())},
        "pixels_of_kinds": _of_kinds(pixels.load(folder / "scores.npz")["0"], kinds),
    }


def _of_kinds(counts: pixels.Counts, kinds: list[str]) -> dict[str, list[float]]:
    """AUROC and average precision of the pixels of good images and of those of one kind."""
    found = {}
    for kind in sorted({*kinds} - {"good"}):
        rows = [number for number, of_image in enumerate(kinds) if of_image in (kind, "good")]
        chosen = pixels.Counts(*(part[rows] for part in counts[:-1]), counts.edges)
        metrics = pixels.pixel_metrics(chosen)
        found[kind] = [round(metrics[key], 6) for key in ("auroc", "average_precision")]
    return found


def _kind(row: dict[str, Any]) -> str:
    """`good`, or the folder of a defective image, as far as it has one."""
    if not row["anomalous"]:
        return "good"
    folder = row["image"].rpartition("/")[0]
    return f"defective, {folder}" if folder else "defective"


def table() -> str:
    """A row per run, for docs/results/maps.md."""
    lines = [markdown_line(_HEAD), markdown_line(["---"] * len(_HEAD))]
    for run in json.loads((RESULTS / "verdicts.json").read_text())["runs"]:
        kinds = run["kinds"]
        good = kinds.get("good", [0, 0])
        defective = {kind: counts for kind, counts in kinds.items() if kind != "good"}
        sums = [sum(counts[column] for counts in defective.values()) for column in (0, 1)]
        named = [
            f"{kind.rpartition(' ')[2]} {flagged} of {count} ({auroc:.3f})"
            for (kind, (flagged, count)), (auroc, _) in zip(
                defective.items(), run["pixels_of_kinds"].values(), strict=True
            )
        ]
        cells = [TITLES.get(run["dataset"], run["dataset"])]
        # Older rows do not say.
        cells += ["yes" if run.get(key) else "–" for key in ("backbone", "density")]
        cells += [f"{run[key]:g}" for key in ("pyramid", "cooldown", "borders", *_SPLICES)]
        cells += [f"{run['planted']:.3f}", "{:.3f}, {:.3f}".format(*run["pixels"])]
        cells += ["–" if run["image_auroc"] is None else f"{run['image_auroc']:.3f}"]
        cells += ["{} of {}".format(*counts) if counts[1] else "–" for counts in (good, sums)]
        lines.append(markdown_line([*cells, ", ".join(named) if len(named) > 1 else "–"]))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with one_line_errors():
        write_rows(__doc__, verdicts)
