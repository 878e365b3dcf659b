"""What `experiments/benchmarks/search.py` measured: the tables and the figure of docs/search.md.

python experiments/search_curves.py     # draws the figure
python experiments/results.py table     # writes the tables into docs/search.md
"""

import json
from typing import Any

from matplotlib.figure import Figure
from paths import DOCS, RESULTS

from semad.reports.tables import markdown_line

FIGURE = DOCS / "search_curves.png"
MACHINES = ("cpu", "gpu")
FAMILIES = ("as published", "annealed", "encoder,")
"""Beginnings of the names of searches that form a curve."""

Row = dict[str, Any]


def load(machine: str) -> dict[str, Any] | None:
    """The record of one of `MACHINES`; None where there is none."""
    path = RESULTS / f"search_{machine}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def table() -> str:
    """A table per machine."""
    parts = []
    for machine in MACHINES:
        record = load(machine)
        if record is not None:
            title = (
                "two CPU cores" if machine == "cpu" else f"one {record['versions']['devices'][0]}"
            )
            tiles = f"{record['tiles']:,} tiles ({record['anomalous']} anomalous)"
            parts.append(f"On {title}, {tiles}:\n\n{_table(record['rows'])}")
    return "\n".join(parts) or "not measured yet\n"


def _table(rows: list[Row]) -> str:
    head = ["search", "L: median", "95 %", "ρ", "evaluations", "fewer", "s / 1,024 tiles", "faster"]
    head += ["AUROC of L", "residual", "`ssim`", "AP of L"]
    lines = [markdown_line(head), markdown_line(["---"] * len(head))]
    published = next(row for row in rows if row["search"] == "as published, 500 steps")
    lines += [markdown_line(_cells(row, published)) for row in rows]
    return "\n".join(lines) + "\n"


def _cells(row: Row, published: Row) -> list[str]:
    cells = [row["search"] + (" †" if "extrapolated_from" in row else ""), f"{row['median']:.0f}"]
    cells += [_figure(row.get("p95"), ".0f"), _figure(row.get("spearman"), ".3f")]
    for key in ("evaluations", "seconds"):
        ratio = published[key] / row[key] if row[key] else None
        few = key == "seconds" and row[key] < 1
        cells += [f"{row[key]:.2g}" if few else f"{row[key]:,.1f}", _figure(ratio, ".3g", "×")]
    scores = row.get("scores", {})
    shown = [(name, "auroc") for name in ("anomaly", "residual", "ssim")]
    shown.append(("anomaly", "average_precision"))
    return cells + [_figure(scores.get(name, {}).get(key), ".3f") for name, key in shown]


def _figure(value: float | None, form: str, unit: str = "") -> str:
    return "–" if value is None else f"{value:{form}}{unit}"


def draw() -> None:
    """Objective and agreement with the reference, by evaluations and by seconds."""
    record = load("cpu")
    if record is None:
        raise SystemExit(
            "no search_cpu.json under experiments/results; run experiments/benchmarks/search.py"
        )
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    grid = figure.subplots(2, 2, sharex="col", sharey="row")
    for column, (key, label) in enumerate(
        (("evaluations", "evaluations of the gradient per tile"), ("seconds", "s / 1,024 tiles"))
    ):
        for axes, value in zip(grid[:, column], ("median", "spearman"), strict=True):
            for family in FAMILIES:
                rows = [row for row in record["rows"] if _is_curve(row, family)]
                rows.sort(key=lambda row: row[key])
                x = [max(row[key], 0.5) for row in rows]  # none at all, on a log axis
                axes.plot(x, [row[value] for row in rows], "o-", label=family.rstrip(","))
            peers = [row for row in record["rows"] if "extrapolated_from" in row]
            if value == "median":
                x, y = [row[key] for row in peers], [row[value] for row in peers]
                axes.plot(x, y, "k^", label="PyTorch, as published: 1, 64, 256 at once")
            axes.set_xscale("log")
            axes.grid(alpha=0.3)
        grid[1, column].set_xlabel(label)
    grid[0, 0].set_ylabel("median of L, normal tiles")
    grid[1, 0].set_ylabel("Spearman's ρ with the reference")
    grid[0, 0].legend(fontsize="small")
    figure.savefig(FIGURE, dpi=110)


def _is_curve(row: Row, family: str) -> bool:
    steps = row["search"].endswith("steps") or row["search"].endswith("no step")
    return row["search"].startswith(family) and steps


if __name__ == "__main__":
    draw()
