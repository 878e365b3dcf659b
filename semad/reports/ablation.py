"""The thesis' ablation tables (51 to 55): a row per combination of tricks, in three formats."""

import csv
import io
from typing import Any

from semad.reports.tables import markdown_line, mean_and_deviation

TITLES = {"none": "Normal", "IN+SL+LF": "LF + SL + IN"}
"""Of rows, where the thesis writes them otherwise than `+` with spaces."""
COLUMNS = {
    "auroc": "AUROC",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1 score",
}

Report = dict[str, Any]
"""What experiments/ablation.py writes; `rows` as `semad.metrics.statistics.compare` has them."""


def title(tricks: str) -> str:
    """A row's name as the thesis writes it."""
    return TITLES.get(tricks, tricks.replace("+", " + "))


def markdown(report: Report) -> str:
    """The table as the thesis lays it out, and beside it what it takes to judge it."""
    head = [report["system"], *COLUMNS.values(), "AUROC − Normal", "p (Holm)"]
    transductive = report["percentile"] is not None
    if transductive:
        percentile = report["percentile"]
        which = "best percentile" if percentile == "best" else f"{percentile} %"
        head.append(f"transductive P, R, F1 ({which})")
    lines = [markdown_line(head), markdown_line(["---"] * len(head))]
    for row in report["rows"]:
        cells = [row["name"], *(mean_and_deviation(row[key]) for key in COLUMNS)]
        cells += _difference(row["auroc"])
        if transductive:
            cells.append(", ".join(_figures(row["transductive"])))
        lines.append(markdown_line(cells))
    return "\n".join(lines) + "\n"


def latex(report: Report) -> str:
    """The thesis' table for booktabs: mean and standard deviation over the seeds."""
    rows = [
        " & ".join([row["name"], *(mean_and_deviation(row[key], r"$\pm$") for key in COLUMNS)])
        + r" \\"
        for row in report["rows"]
    ]
    system = report["system"].replace("_", r"\_")
    head = " & ".join([system, *COLUMNS.values()]) + r" \\"
    body = [r"\begin{tabular}{lcccc}", r"\toprule", head, r"\midrule", *rows]
    return "\n".join([*body, r"\bottomrule", r"\end{tabular}"]) + "\n"


def comma_separated(report: Report) -> str:
    """A line per row, with means, deviations, intervals and differences of every figure."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(_flat(report["rows"][1])), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_flat(row) for row in report["rows"])
    return file.getvalue()


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    flat = {"row": row["name"], "seeds": row["seeds"]}
    for key in (*COLUMNS, "average_precision"):
        metric = row[key]
        flat |= {key: metric["mean"], f"{key}_std": metric["std"]}
        flat |= _ends(key, metric["interval"])
        if difference := metric.get("difference"):
            flat[f"{key}_difference"] = difference["value"]
            flat |= _ends(f"{key}_difference", difference["interval"])
            flat[f"{key}_p_holm"] = difference.get("p_holm")
    return flat | {f"transductive_{key}": value for key, value in row["transductive"].items()}


def _ends(key: str, interval: list[float] | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {f"{key}_low": low, f"{key}_high": high}


def _difference(metric: dict[str, Any]) -> list[str]:
    difference = metric.get("difference")
    if not difference or not difference["interval"]:
        return ["–", "–"]
    low, high = difference["interval"]
    return [
        f"{difference['value']:+.3f} ({low:+.3f} to {high:+.3f})",
        f"{difference['p_holm']:.3f}",
    ]


def _figures(values: dict[str, float]) -> list[str]:
    return [f"{values[key]:.3f}" for key in ("precision", "recall", "f1")]
