"""report.html: one self-contained file with the figures inside."""

import base64
from pathlib import Path
from typing import Any

import jinja2

from semad.files import write_text

_FIGURES = ("roc", "pr", "histogram", "reconstructions")

MARGIN = 0.02
"""By how much AUROC a baseline must be beaten before the report calls it a detection."""


def format_figure(value: float | None) -> str:
    """Three digits, or a dash for what is not defined."""
    return "–" if value is None else f"{value:.3f}"


def write_report(path: Path, folder: Path, result: dict[str, Any]) -> None:
    """Writes the report of an evaluation; it replaces that of an earlier one.

    Args:
      path: of the HTML file.
      folder: holds the figures.
      result: what metrics.json holds.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("semad.evaluation", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = format_figure
    pictures = {
        name: base64.b64encode((folder / f"{name}.png").read_bytes()).decode()
        for name in _FIGURES
        if (folder / f"{name}.png").is_file()
    }
    page = environment.get_template("report.html.j2").render(
        result=result, pictures=pictures, unbeaten=_unbeaten(result), margin=MARGIN
    )
    write_text(path, page)


def _unbeaten(result: dict[str, Any]) -> list[str]:
    """Baselines that the method does not beat clearly."""
    own = result["auroc"]
    if own is None:
        return []
    return [name for name, value in result["baselines"].items() if value["auroc"] + MARGIN > own]
