"""Keeps the figures of runs as small JSON files, and makes the README's table of them.

python experiments/results.py record --metrics runs/bigan/evaluation/thesis_tiles/metrics.json \\
    --name nanotwice_bigan_small --command "python main.py --config configs/bigan.py:small ..."
python experiments/results.py table            # writes the table between README's markers
python experiments/results.py table --check    # exit code 1 if it is not up to date
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
README = RESULTS.parents[1] / "README.md"
MARKERS = ("<!-- results -->", "<!-- /results -->")


def record(metrics: Path, name: str, command: str) -> None:
    """Stores what metrics.json holds, with the command that made it, under `results/`."""
    result = json.loads(metrics.read_text())
    result["config"]["data"]["dir"] = None  # says nothing on another machine
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"run_{name}.json"
    path.write_text(json.dumps({"command": command} | _round(result), indent=1) + "\n")


def _round(value: Any) -> Any:
    """Five digits are plenty, and without the transductive tables the files stay small."""
    if isinstance(value, dict):
        return {key: _round(part) for key, part in value.items() if key != "transductive"}
    if isinstance(value, list):
        return [_round(part) for part in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def table() -> str:
    """A Markdown table: for every data set and protocol, the baselines, then the systems."""
    results = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("run_*.json"))]
    lines = [
        "| data | system | score | seeds | items | AUROC | average precision | F1 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    seen = set()
    for result in results:
        place = (result["dataset"], result["protocol"], result["n_test"])
        items = f"{result['n_test']:,} ({result['n_anomalous']:,})"
        if place not in seen:
            seen.add(place)
            for name, one in result["baselines"].items():
                cells = (name.replace("_", " "), "–", "–", items, *_figures(one), "–")
                lines.append(f"| {result['dataset']} | {' | '.join(cells)} |")
        for score in _scores(result):
            lines.append(f"| {result['dataset']} | {_row(result, score, items)} |")
    commands = "\n".join(result["command"] for result in results)
    return "\n".join(lines) + f"\n\nMade by:\n\n```\n{commands}\n```\n"


def _scores(result: dict[str, Any]) -> list[str]:
    """The default score first."""
    names = _members(result)[0]["scores"]
    return sorted(names, key=lambda name: (name != result["score"], name))


def _members(result: dict[str, Any]) -> list[dict[str, Any]]:
    return result.get("members", [result])


def _row(result: dict[str, Any], score: str, items: str) -> str:
    members = [member["scores"][score] for member in _members(result)]
    figures = [
        _spread([member[key] for member in members]) for key in ("auroc", "average_precision", "f1")
    ]
    name = f"**{score}**" if score == result["score"] else score
    system = f"{result['method']} `{result['config']['preset']}`"
    return " | ".join((system, name, str(len(members)), items, *figures))


def _figures(one: dict[str, float]) -> tuple[str, str]:
    return f"{one['auroc']:.3f}", f"{one['average_precision']:.3f}"


def _spread(values: list[float]) -> str:
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.3f}"
    deviation = (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5
    return f"{mean:.3f} ± {deviation:.3f}"


def main() -> None:
    """Records a result, or writes or checks the README's table."""
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
    text = README.read_text()
    start, end = (text.index(marker) for marker in MARKERS)
    new = text[: start + len(MARKERS[0])] + "\n" + table() + text[end:]
    if arguments.check:
        sys.exit(int(new != text))
    README.write_text(new)


if __name__ == "__main__":
    main()
