"""The ranking of several systems, as a table."""

from typing import Any

from semad.reports.tables import markdown_line, mean_and_deviation


def markdown(report: dict[str, Any]) -> str:
    """A line per row of experiments/compare.py; in bold what is beyond noise from the reference."""
    head = ["system", "score", "AUROC", "95 % over images", f"− {report['reference']}"]
    head += ["p (Holm)", "average precision", "F1", "parameters", "steps", "training, s"]
    lines = [markdown_line(head), markdown_line(("---",) * len(head))]
    lines += [markdown_line(_row(row)) for row in report["rows"]]
    return "\n".join(lines) + "\n"


def _row(row: dict[str, Any]) -> list[str]:
    name = row["name"].replace("_", " ") + (" †" if row.get("elsewhere") else "")
    difference, p = "–", "–"
    if (compared := row["auroc"].get("difference")) and compared["interval"]:
        low, high = compared["interval"]
        difference = f"{compared['value']:+.3f} ({low:+.3f} to {high:+.3f})"
        p = f"{compared['p_holm']:.3f}"
        if compared["p_holm"] < 0.05:
            difference = f"**{difference}**"
    low, high = row["auroc"]["interval"]
    counts = [f"{row[key]:,.0f}" if key in row else "–" for key in _COUNTS]
    figures = [mean_and_deviation(row[key]) for key in ("average_precision", "f1")]
    score = row.get("score", "–")
    interval = f"{low:.3f} – {high:.3f}"
    return [
        name,
        score,
        mean_and_deviation(row["auroc"]),
        interval,
        difference,
        p,
        *figures,
        *counts,
    ]


_COUNTS = ("parameters", "steps", "training_seconds")
