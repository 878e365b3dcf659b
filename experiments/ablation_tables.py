"""Tables 51 to 55 of the thesis, of the reports that experiments/ablation.py recorded."""

import json
from pathlib import Path
from typing import Any

from semad.reports import ablation, comparison

RESULTS = Path(__file__).resolve().parent / "results"
NUMBERS = {"anogan": 51, "bigan": 52, "alad": 53, "ganomaly": 54, "skip_ganomaly": 55}
# The only figures that the thesis has, table 52: AUROC of BiGAN on NanoTWICE.
THESIS = {
    "Normal": 0.39614,
    "IN": 0.59329,
    "SL": 0.54633,
    "LF": 0.63394,
    "IN + SL": 0.53644,
    "IN + LF": 0.54526,
    "SL + LF": 0.57391,
    "LF + SL + IN": 0.36905,
}

Report = dict[str, Any]


def load(kind: str) -> list[Report]:
    """Recorded reports of `ablation` or `compare`: by data set, then in the thesis' order."""
    reports = [json.loads(path.read_text()) for path in RESULTS.glob(f"{kind}_*.json")]
    return sorted(
        reports,
        key=lambda one: (one["dataset"] != "nanotwice", NUMBERS.get(one.get("system", ""), 99)),
    )


def summary() -> str:
    """A row per combination of tricks, a column per system: AUROC, in bold beyond noise."""
    parts = []
    reports = load("ablation")
    for dataset in dict.fromkeys(report["dataset"] for report in reports):
        own = [report for report in reports if report["dataset"] == dataset]
        names = [one["system"] for one in own]
        if dataset == "nanotwice":
            names = [f"{name} ({NUMBERS.get(name, '–')})" for name in names] + ["thesis, BiGAN"]
        lines = [_line([dataset, *names]), _line(["---"] * (1 + len(names)))]
        for name, published in THESIS.items():
            cells = [name, *(_cell(one, name) for one in own)]
            if dataset == "nanotwice":
                cells.append(f"{published:.3f}")
            lines.append(_line(cells))
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n" if parts else ""


def _cell(report: Report, name: str) -> str:
    """Of the row of that name, where there is one."""
    found = [row["auroc"] for row in report["rows"] if row["name"] == name]
    if not found:
        return "–"
    (one,) = found
    text = f"{one['mean']:.3f} ± {one['std']:.3f}"
    return f"**{text}**" if one.get("difference", {}).get("p_holm", 1) < 0.05 else text


def details() -> str:
    """Every table as the thesis lays it out, with how it was made."""
    parts = []
    for one in load("ablation"):
        number = NUMBERS.get(one["system"])
        own = number and one["dataset"] == "nanotwice"
        title = f"Table {number}, {one['system']}" if own else one["system"]
        items = f"{one['n_test']:,} of {one['n_available']:,} items"
        rule = f"{one['threshold']['rule']}, rate {one['threshold']['rate']:g}"
        parts += [
            f"### {title}, {one['dataset']}\n",
            f"`{one['protocol']}`, {items}; score `{one['score']}`, {len(one['seeds'])} seeds, "
            f"{one['step']:,} steps; precision, recall and F1 by {rule}.\n",
            ablation.markdown(one),
            f"{one['verdict']}\n\n`{one['command']}`\n",
        ]
    return "\n".join(parts)


def comparisons() -> str:
    """Every ranking, with how it was made."""
    parts = []
    for one in load("compare"):
        allowed = ", ".join(f"{value:,.0f} {key}" for key, value in one["budget"].items())
        parts += [
            f"### {one['dataset']}, `{one['protocol']}`, {allowed or 'presets'}\n",
            comparison.markdown(one),
            f"{one['verdict']}\n\n`{one['command']}`\n",
        ]
    return "\n".join(parts)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
