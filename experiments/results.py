"""Keeps the figures of runs as small JSON files, and makes the tables of the pages of them.

python experiments/results.py record --metrics runs/bigan/evaluation/thesis_tiles/metrics.json \\
    --name nanotwice_bigan_small --command "python main.py --config configs/bigan.py:small ..."
python experiments/results.py table            # writes the tables of the pages under docs/, and
                                               # experiments/results/README.md
python experiments/results.py table --check    # exit code 1 if they are not up to date
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import ablation_tables
import exports
import fault_table
import few_images
import fibre_truth
import reproduction
import rival_tables
import search_curves
import step_tables
import tables
import teaching
import verdicts
from paths import DOCS, LEDGER, RESULTS
from tables import Result

from semad.sweeps.run_if_missing import rounded

DATA = ("nanotwice", "nanofibres")  # in this order; the others follow by name
INTRODUCTION = """# Results

Made by `python experiments/results.py table` from the files beside it: mean ± standard deviation
over the seeds, the default score bold, F1 at the normal-only threshold, training time per seed.
Each row names the run that made it.

‡ Ran before the finished thesis was followed (commit 08968bb or earlier): patches on [-1, 1], the
networks and losses of the thesis' draft. docs/reproduction.md has the rows that replace them, as
far as they have been run.

"""


def record(metrics: Path, name: str, command: str) -> None:
    """Stores what metrics.json holds, with the command that made it, under `results/`."""
    result = json.loads(metrics.read_text())
    result["config"]["data"]["dir"] = None  # says nothing on another machine
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"run_{name}.json"
    about = {"name": name, "command": command}
    path.write_text(json.dumps(about | rounded(_small(result)), indent=1) + "\n")
    if curve := reproduction.read_curve(metrics.parents[2]):
        path = RESULTS / f"curve_{name}.json"
        path.write_text(json.dumps({"name": name, "curve": curve}) + "\n")


def _small(value: Any) -> Any:
    """Without the transductive tables, which are most of a file."""
    if isinstance(value, dict):
        return {key: _small(part) for key, part in value.items() if key != "transductive"}
    return [_small(part) for part in value] if isinstance(value, list) else value


def load() -> list[Result]:
    """All recorded results: by data set, then by system."""
    paths = sorted(RESULTS.glob("run_*.json"))
    results = [{"name": path.stem[4:]} | json.loads(path.read_text()) for path in paths]
    return sorted(results, key=lambda result: (_rank(result["dataset"]), result["method"]))


def _rank(dataset: str) -> tuple[int, str]:
    return (DATA.index(dataset) if dataset in DATA else len(DATA), dataset)


def pages() -> dict[Path, str]:
    """The files that hold tables, with the contents they should have."""
    results = load()
    looks = len(LEDGER.read_text().splitlines())
    parts = {
        "results/maps.md": {
            "detection": f"\n{tables.detection(results)}",
            "verdicts": f"\n{verdicts.table()}",
            "few_images": f"\n{few_images.table()}",
            "rivals": f"\n{rival_tables.table()}",
        },
        "results/tiles.md": {"results": f"\n{tables.summary(results)}"},
        "results/tricks.md": {"ablation": f"\n{ablation_tables.summary()}"},
        "results/cost.md": {"mapping": f"\n{tables.mapping()}"},
        "protocols.md": {"looks": str(looks)},
        "reproduction.md": {
            "reproduction": f"\n{reproduction.table(results)}",
            "contributions": f"\n{reproduction.contributions(results)}",
            "curves": f"\n{reproduction.curve_table()}",
            "items": f"\n{reproduction.items(results)}",
        },
        "performance.md": {"steps": f"\n{step_tables.table()}"},
        "search.md": {"searches": f"\n{search_curves.table()}"},
        "reliability.md": {"faults": f"\n{fault_table.table()}"},
        "teaching.md": {"teaching": f"\n{teaching.table()}"},
        "fibres.md": {"fibre-truth": f"\n{fibre_truth.table()}"},
        "python.md": {"exports": f"\n{exports.table()}"},
    }
    whole = INTRODUCTION + tables.details(results)
    if ablations := ablation_tables.details():
        whole += f"\n## Ablation of the training tricks\n\n{ablations}"
    if comparisons := ablation_tables.comparisons():
        whole += f"\n## Comparisons with equal budgets\n\n{comparisons}"
    filled = {DOCS / name: _filled(DOCS / name, own) for name, own in parts.items()}
    return filled | {RESULTS / "README.md": whole}


def _filled(path: Path, parts: dict[str, str]) -> str:
    """The text of a page with its marked parts replaced."""
    text = path.read_text()
    for name, part in parts.items():
        opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
        start, end = text.index(opening) + len(opening), text.index(closing)
        text = f"{text[:start]}{part}{text[end:]}"
    return text


def main() -> None:
    """Records a result, or writes or checks the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="action", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("--metrics", type=Path, required=True)
    recording.add_argument("--name", required=True)
    recording.add_argument("--command", required=True)
    commands.add_parser("table").add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if arguments.action == "record":
        record(arguments.metrics, arguments.name, arguments.command)
        return
    for path, text in pages().items():
        if arguments.check and (not path.is_file() or path.read_text() != text):
            sys.exit(f"{path.name} is not up to date; run: python experiments/results.py table")
        if not arguments.check:
            path.write_text(text)


if __name__ == "__main__":
    main()
