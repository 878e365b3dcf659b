"""The table of docs/results/maps.md that has published detectors beside the recommended one."""

import json
from typing import Any

from paths import RESULTS

from semad.reports.tables import markdown_line

_TITLES = {
    "recommended": "**recommended**",
    "patchcore": "PatchCore",
    "padim": "PaDiM",
    "supersimplenet": "SuperSimpleNet",
}
_HEAD = ("data", "detector", "seeds", "pixels: AUROC, AP", "− recommended: AUROC, AP")
_HEAD += ("region overlap", "tiles: AUROC, AP", "images: AUROC", "fit, s", "per image, s")


def table() -> str:
    """A row per data set and detector, of what experiments/rivals/run.py recorded."""
    lines = [markdown_line(_HEAD), markdown_line(["---"] * len(_HEAD))]
    for path in sorted(RESULTS.glob("rivals_*.json")):
        result = json.loads(path.read_text())
        data = path.stem.removeprefix("rivals_")
        lines += [_line(data, name, row) for name, row in result["rows"].items()]
    return "\n".join(lines) + "\n"


def _line(data: str, name: str, row: dict[str, Any]) -> str:
    keys = ("auroc", "average_precision")
    pixels, tiles = (", ".join(f"{row[k][key]:.3f}" for key in keys) for k in ("pixels", "tiles"))
    images = row["images"]["auroc"]
    cells = [data, _TITLES[name], f"{row['seeds']}", pixels]
    cells += [", ".join(_difference(row["paired"][key]) for key in keys)]
    cells += [f"{row['pixels']['region_overlap']:.3f}", tiles]
    cells += ["–" if images is None else f"{images:.3f}"]
    cells += [f"{row['fit_seconds']:,.0f}", f"{row['seconds_per_image']:.2f}"]
    return markdown_line(cells)


def _difference(figure: dict[str, Any]) -> str:
    """With its 95 % interval, where there is one: of one seed there is none."""
    if "difference" not in figure:
        return "–"
    compared = figure["difference"]
    if compared["interval"] is None:
        return f"{compared['value']:+.3f}"
    low, high = compared["interval"]
    return f"{compared['value']:+.3f} ({low:+.3f} to {high:+.3f})"
