"""The report of a run: how it trained, and what an evaluation found."""

import io
import json
from pathlib import Path
from typing import Any

from semad import plots
from semad.config.schema import Settings
from semad.config.settings import flatten, nest
from semad.metrics.pixels import OF_PIXELS
from semad.metrics.ranking import metric_names
from semad.reports.cautions import cautions
from semad.reports.render import data_uri, write_page
from semad.utils.versions import versions

_FIGURES = {
    "roc": "ROC curves: the score, and the baselines that learn nothing.",
    "pr": "Precision and recall; the dotted line is the share of anomalous items.",
    "histogram": "Scores of held-out normal, normal and anomalous test items; the threshold.",
}
_TITLES = {"auroc": "AUROC", "f1": "F1", "tpr_at_fpr": "TPR at 5 % FPR"}
"""Of metrics that are not titled by their names."""

_WIDE = {
    "cases": "Best and worst cases, by score or average precision.",
    "reconstructions": "Items chosen by index, evenly spread; the residual is the mean of |x − x̂| "
    "over channels, from 0 to 1.",
}


def write_report(
    workdir: Path,
    settings: Settings,
    result: dict[str, Any] | None = None,
    folder: Path | None = None,
    output: Path | None = None,
) -> None:
    """Writes `report.html`; it replaces that of an earlier evaluation.

    Args:
      workdir: of the run.
      settings: of the run.
      result: what metrics.json holds; None after training alone, which keeps what the newest
        evaluation says, if there was one.
      folder: of the evaluation, with its figures.
      output: takes the report; the workdir if None.
    """
    if result is None:
        result, folder = _newest(workdir)
    log = _log(workdir)
    paths = {name: (folder or workdir) / f"{name}.png" for name in (*_FIGURES, *_WIDE)}
    pictures = {name: data_uri(path.read_bytes()) for name, path in paths.items() if path.is_file()}
    if log:
        buffer = io.BytesIO()
        plots.training(buffer, log)
        pictures["training"] = data_uri(buffer.getvalue())
    write_page(
        (output or workdir) / "report.html",
        "run.html.j2",
        config=nest(flatten(settings)),
        settings=flatten(settings),
        versions=versions(),
        log=log[-1] if log else None,
        result=result,
        cautions=cautions(result) if result else [],
        pictures=pictures,
        columns=_columns(result),
        small=_FIGURES,
        wide=_WIDE,
    )


def _columns(result: dict[str, Any] | None) -> dict[str, str]:
    """The metrics of an evaluation, with their titles."""
    names = metric_names()
    if result and result["protocol"] == "pixel":
        names += tuple(OF_PIXELS)
    return {name: _TITLES.get(name, name.replace("_", " ")) for name in names}


def _newest(workdir: Path) -> tuple[dict[str, Any] | None, Path | None]:
    """The newest evaluation and its folder."""
    paths = sorted(workdir.glob("evaluation/*/metrics.json"), key=lambda path: path.stat().st_mtime)
    return (json.loads(paths[-1].read_text()), paths[-1].parent) if paths else (None, None)


def _log(workdir: Path) -> list[dict[str, Any]]:
    path = workdir / "log.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
