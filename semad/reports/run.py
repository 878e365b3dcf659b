"""The report of a run: how it trained, and what an evaluation found."""

import io
import json
import logging
from functools import partial
from pathlib import Path
from typing import Any

import jinja2

from semad import plots
from semad.config.schema import Settings
from semad.config.settings import flatten, nest
from semad.metrics.pixels import OF_PIXELS
from semad.metrics.ranking import metric_names
from semad.reports.cautions import cautions, source_of_thresholds, training_cautions
from semad.reports.render import data_uri, write_page
from semad.run.workdir import TEACHING_FILE, newest_step
from semad.selection.doubts import AGREEMENTS
from semad.training.logs import read_log
from semad.utils.versions import versions

_log = logging.getLogger(__name__)

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
    log = [line for line in read_log(workdir) if line.keys() >= {"phase", "epoch"}]
    page = partial(_write, workdir, settings, log, output)
    if result is not None:
        page(result, folder, [])
        return
    result, folder = _newest(workdir)
    if result is None:
        page(None, None, [])
        return
    try:
        page(result, folder, _stale(workdir, result, log))
    except (jinja2.TemplateError, LookupError, TypeError, ValueError, AttributeError) as error:
        _log.warning(
            "%s: damaged, and left out of the report (%s); evaluate again (--mode evaluate)",
            *(folder, error),
        )
        page(None, None, [])


def _write(
    workdir: Path,
    settings: Settings,
    log: list[dict[str, Any]],
    output: Path | None,
    result: dict[str, Any] | None,
    folder: Path | None,
    notes: list[str],
) -> None:
    """Writes the page; `notes` come before the cautions of the result."""
    paths = {name: (folder or workdir) / f"{name}.png" for name in (*_FIGURES, *_WIDE)}
    pictures = {name: data_uri(path.read_bytes()) for name, path in paths.items() if path.is_file()}
    if losses := _losses(log):
        pictures["training"] = data_uri(losses)
    write_page(
        (output or workdir) / "report.html",
        "run.html.j2",
        config=nest(flatten(settings)),
        settings=flatten(settings),
        versions=versions(),
        log=log[-1] if log else None,
        result=result,
        teaching=_teaching(workdir),
        thresholds_from=_thresholds_from(result),
        agreements=AGREEMENTS,
        cautions=notes + training_cautions(log, result) + (cautions(result) if result else []),
        pictures=pictures,
        columns=_columns(result),
        small=_FIGURES,
        wide=_WIDE,
    )


def _thresholds_from(result: dict[str, Any] | None) -> str | None:
    calibration = result.get("calibration") if result else None
    return source_of_thresholds(calibration) if calibration else None


def _teaching(workdir: Path) -> dict[str, Any] | None:
    """What `--mode teach` changed; None for a run that was not taught, or not to its end."""
    try:
        effect = json.loads((workdir / TEACHING_FILE).read_bytes())["effect"]
        return {name: effect[name] for name in ("in_words", "planted")}
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def _losses(log: list[dict[str, Any]]) -> bytes | None:
    """The losses as a PNG; None for a log without any, or with damaged ones."""
    if not log:
        return None
    buffer = io.BytesIO()
    try:
        plots.training(buffer, log)
    except (TypeError, ValueError) as error:
        _log.warning("the log has damaged losses, which are not drawn (%s)", error)
        return None
    return buffer.getvalue()


def _columns(result: dict[str, Any] | None) -> dict[str, str]:
    """The metrics of an evaluation, with their titles."""
    names = metric_names()
    if result and result["protocol"] == "pixel":
        names += tuple(OF_PIXELS)
    return {name: _TITLES.get(name, name.replace("_", " ")) for name in names}


def _newest(workdir: Path) -> tuple[dict[str, Any] | None, Path | None]:
    """The newest evaluation that can be read, and its folder; damaged ones are warned of."""
    paths = [path for path in workdir.glob("evaluation/*/metrics.json") if path.is_file()]
    whole = [path for path in paths if not path.parent.name.startswith(".")]
    for path in sorted(whole, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            result = json.loads(path.read_bytes())
            if not isinstance(result, dict):
                raise ValueError(f"a {type(result).__name__}")
        except (OSError, ValueError, RecursionError) as error:
            _log.warning("%s: damaged, and left out of the report (%s)", path, error)
            continue
        return result, path.parent
    return None, None


def _stale(workdir: Path, result: dict[str, Any], log: list[dict[str, Any]]) -> list[str]:
    """Says so when training has gone on since an evaluation of the newest state."""
    newest = max((line["step"] for line in log), default=0)
    newest = max(newest, newest_step(workdir) or 0)
    best = result["config"].get("eval", {}).get("checkpoint") == "best"
    if best or result["step"] >= newest:
        return []
    return [
        f"Stale: the evaluation below is of step {result['step']}, and training has gone on to "
        f"step {newest} since; evaluate again (--mode evaluate)."
    ]
