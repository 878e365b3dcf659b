"""Tables 51 to 55 of the thesis, of the reports that experiments/ablation.py recorded."""

import json
from typing import Any

import reproduction
from paths import RESULTS

from semad.reports import ablation, comparison
from semad.reports.tables import markdown_line

NUMBERS = {"anogan": 51, "bigan": 52, "alad": 53, "ganomaly": 54, "skip_ganomaly": 55}
# Table 52 of the draft of the thesis, AUROC of BiGAN on NanoTWICE; the finished one has others.
DRAFT = {
    "Normal": 0.39614,
    "IN": 0.59329,
    "SL": 0.54633,
    "LF": 0.63394,
    "IN + SL": 0.53644,
    "IN + LF": 0.54526,
    "SL + LF": 0.57391,
    "LF + SL + IN": 0.36905,
}
# The row that has the same condition with flipped labels.
FLIPPED = {"Normal": "LF", "IN": "IN + LF", "SL": "SL + LF", "IN + SL": "LF + SL + IN"}

Report = dict[str, Any]


def load(kind: str) -> list[Report]:
    """Recorded reports of `ablation` or `compare`: by data set, then in the thesis' order."""
    reports = [json.loads(path.read_text()) for path in RESULTS.glob(f"{kind}_*.json")]
    return sorted(
        reports,
        key=lambda one: (one["dataset"] != "nanotwice", NUMBERS.get(one.get("system", ""), 99)),
    )


def summary() -> str:
    """A row per combination of tricks, a column per system: AUROC, in bold beyond noise.

    On NanoTWICE the finished thesis' figure stands behind ours, or its two where LF is pooled.
    """
    parts = []
    reports = load("ablation")
    for dataset in dict.fromkeys(report["dataset"] for report in reports):
        own = [report for report in reports if report["dataset"] == dataset]
        names = [_head(one) for one in own]
        if dataset == "nanotwice":
            names.append("draft, BiGAN")
        lines = [markdown_line([dataset, *names]), markdown_line(["---"] * (1 + len(names)))]
        for name, drafted in DRAFT.items():
            cells = [name, *(_cell(one, name) for one in own)]
            if dataset == "nanotwice":
                cells.append(f"{drafted:.3f}")
            lines.append(markdown_line(cells))
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n" if parts else ""


def _head(report: Report) -> str:
    """Of the column of a system: its name, with its table in the thesis."""
    number = NUMBERS.get(report["system"], "–") if report["dataset"] == "nanotwice" else ""
    return report["system"] + (f" ({number})" if number else "")


def _cell(report: Report, name: str) -> str:
    """Of the row of that name, where there is one."""
    found = [row["auroc"] for row in report["rows"] if row["name"] == name]
    if not found:
        return "–"
    (one,) = found
    text = f"{one['mean']:.3f} ± {one['std']:.3f}"
    text = f"**{text}**" if one.get("difference", {}).get("p_holm", 1) < 0.05 else text
    printed = ", ".join(f"{value:.3f}" for value in _printed(report, name))
    return f"{text} ({printed})" if printed else text


def _printed(report: Report, name: str) -> list[float]:
    """The finished thesis' AUROC of a row, and of the row with flipped labels that it pools."""
    if report["dataset"] != "nanotwice":
        return []
    there = {row["name"] for row in report["rows"]}
    rows = [name] if FLIPPED.get(name) in there or name not in FLIPPED else [name, FLIPPED[name]]
    table = reproduction.tricks(report["system"])
    return [table[row] for row in rows if row in table]


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
