"""Keeps the figures of runs as small JSON files, and makes the README's tables of them.

python experiments/results.py record --metrics runs/bigan/evaluation/thesis_tiles/metrics.json \\
    --name nanotwice_bigan_small --command "python main.py --config configs/bigan.py:small ..."
python experiments/results.py table            # writes README's summary and results/README.md
python experiments/results.py table --check    # exit code 1 if they are not up to date
"""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
README = RESULTS.parents[1] / "README.md"
BASELINES = ("brightness", "contrast", "local_minimum")
DATA = ("nanotwice", "nanofibres")  # in this order; the others follow by name
# Beside each system's own score, the same for all. No label-free choice: on NanoTWICE's labels SSIM
# was known to be the better residual (of PCA) before, and two systems' figures had been seen.
COMMON_SCORE = "ssim"
INTRODUCTION = """# Results

Made by `python experiments/results.py table` from the files beside it: mean ± standard deviation
over the seeds, the default score bold, F1 at the normal-only threshold, training time per seed.
Each row names the run that made it.

"""

Result = dict[str, Any]


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


def load() -> list[Result]:
    """All recorded results: by data set, then by system."""
    results = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("run_*.json"))]
    return sorted(results, key=lambda result: (_rank(result["dataset"]), result["method"]))


def _rank(dataset: str) -> tuple[int, str]:
    return (DATA.index(dataset) if dataset in DATA else len(DATA), dataset)


def summary(results: list[Result]) -> str:
    """One row per system and score, one column per data set: tiles and items, not pixels."""
    results = [result for result in results if result["protocol"] != "pixel"]
    datasets = list(dict.fromkeys(result["dataset"] for result in results))
    lines = _head(["system", "score", *map(_title, datasets), "training, s"])
    for name in BASELINES:
        cells = [_baseline_cell(results, dataset, name) for dataset in datasets]
        lines.append(_line([name.replace("_", " "), "–", *cells, "–"]))
    for method in sorted({result["method"] for result in results}):
        own = {result["dataset"]: result for result in results if result["method"] == method}
        first = next(iter(own.values()))
        for score in _shown(first):
            cells = [_cell(own.get(dataset), score) for dataset in datasets]
            time = _training(own.get("nanotwice"))
            lines.append(_line([f"{method} `{first['config']['preset']}`", score, *cells, time]))
    return "\n".join(lines) + "\n"


def _title(dataset: str) -> str:
    name, _, normal = dataset.partition("/normal=")
    return f"{name.removeprefix('tfds:')} {normal}".strip()


def _baseline_cell(results: list[Result], dataset: str, name: str) -> str:
    """On all test items, if any result was on all of them."""
    of_data = [result for result in results if result["dataset"] == dataset]
    largest = max(of_data, key=lambda result: result["n_test"])
    one = largest["baselines"][name]
    return f"{one['auroc']:.3f} ({one['average_precision']:.3f})"


def _cell(result: Result | None, score: str) -> str:
    if result is None or score not in _members(result)[0]["scores"]:
        return ""
    auroc, precision = _figures(result, score, ("auroc", "average_precision"))
    subset = " †" if result["n_test"] < result["n_available"] else ""
    return f"{auroc} ({precision.split(' ')[0]}){subset}"


def dense(results: list[Result]) -> str:
    """One row per system and score that was mapped, below the baselines of its data set."""
    head = ("data", "system", "score", "AUROC", "over images", "average precision")
    head += ("TPR at 5 % FPR", "region overlap", "defects found", "tiles by maximum: AUROC", "run")
    lines = _head(head)
    keys = ("auroc", "average_precision", "tpr_at_fpr", "region_overlap")
    seen = set()
    for number, result in enumerate(results, start=1):
        if result["protocol"] != "pixel":
            continue
        if result["dataset"] not in seen:
            seen.add(result["dataset"])
            for name in BASELINES:
                one = result["baselines"][name]
                figures = [f"{one[key]:.3f}" for key in keys]
                figures.insert(1, _interval([one]))
                title = name.replace("_", " ")
                lines.append(_line([result["dataset"], title, "–", *figures, "–", "–", "–"]))
        for score in _shown(result):
            own = [member["scores"][score] for member in _members(result)]
            first, *others = _figures(result, score, keys)
            cells = [
                *(first, _interval(own), *others),
                _spread(
                    [1 - one["coverage"]["missed"] / one["coverage"]["defects"] for one in own]
                ),
                _spread([one["tiles"]["max"]["auroc"] for one in own]),
            ]
            lines.append(_line([result["dataset"], result["method"], score, *cells, f"{number}"]))
    return "\n".join(lines) + "\n"


def mapping() -> str:
    """One row per system: seconds to map one micrograph at each stride, and peak memory."""
    cases = json.loads((RESULTS / "benchmark_maps.json").read_text())["cases"]
    strides = list(dict.fromkeys(case["stride"] for case in cases))
    lines = _head(["system", *(f"stride {stride}, s" for stride in strides), "peak memory, MiB"])
    for method in dict.fromkeys(case["method"] for case in cases):
        own = [case for case in cases if case["method"] == method]
        times = [f"{case['seconds']:,.1f}{' ‡' if case['extrapolated'] else ''}" for case in own]
        lines.append(_line([method, *times, f"{max(case['peak_mib'] for case in own)}"]))
    return "\n".join(lines) + "\n"


def _interval(parts: list[Result]) -> str:
    """The bootstrap interval of AUROC, its ends averaged over members."""
    low, high = (mean(part["intervals"]["auroc"][end] for part in parts) for end in (0, 1))
    return f"{low:.3f} – {high:.3f}"


def _shown(result: Result) -> list[str]:
    """The system's own score, and the one that all have."""
    return list(dict.fromkeys((result["score"], COMMON_SCORE)))


def details(results: list[Result]) -> str:
    """Every score of every run, the baselines first for each set of test items, and commands."""
    head = ("data", "protocol", "system", "score", "seeds", "items", "AUROC", "average precision")
    lines = _head([*head, "F1", "training, s", "run"])
    seen = set()
    for number, result in enumerate(results, start=1):
        items = f"{result['n_test']:,} ({result['n_anomalous']:,})"
        place = [result["dataset"], f"`{result['protocol']}`"]
        if (*place, items) not in seen:
            seen.add((*place, items))
            for name in BASELINES:
                one = result["baselines"][name]
                figures = [f"{one[key]:.3f}" for key in ("auroc", "average_precision")]
                title = name.replace("_", " ")
                lines.append(_line([*place, title, "–", "–", items, *figures, "–", "–", "–"]))
        for score in _scores(result):
            figures = _figures(result, score, ("auroc", "average_precision", "f1"))
            name = f"**{score}**" if score == result["score"] else score
            system = f"{result['method']} `{result['config']['preset']}`"
            seeds = str(len(_members(result)))
            cells = [*place, system, name, seeds, items, *figures, _training(result), f"{number}"]
            lines.append(_line(cells))
    commands = "\n".join(f"{i}. `{result['command']}`" for i, result in enumerate(results, 1))
    return "\n".join(lines) + f"\n\nThe runs:\n\n{commands}\n"


def _head(names: Iterable[str]) -> list[str]:
    columns = list(names)
    return [_line(columns), _line(["---"] * len(columns))]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _scores(result: Result) -> list[str]:
    """The default score first."""
    names = _members(result)[0]["scores"]
    return sorted(names, key=lambda name: (name != result["score"], name))


def _members(result: Result) -> list[Result]:
    return result.get("members", [result])


def _training(result: Result | None) -> str:
    """Seconds per member."""
    if result is None or not result.get("training_seconds"):
        return "–"
    return f"{result['training_seconds'] / len(_members(result)):.0f}"


def _figures(result: Result, score: str, keys: Iterable[str]) -> list[str]:
    members = [member["scores"][score] for member in _members(result)]
    return [_spread([member[key] for member in members]) for key in keys]


def _spread(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{mean(values):.3f} ± {stdev(values):.3f}"


def pages() -> dict[Path, str]:
    """The files that hold tables, with the contents they should have."""
    results = load()
    text = README.read_text()
    tables = {"results": summary(results), "dense": dense(results), "mapping": mapping()}
    for name, table in tables.items():
        opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
        start, end = text.index(opening) + len(opening), text.index(closing)
        text = f"{text[:start]}\n{table}{text[end:]}"
    return {README: text, RESULTS / "README.md": INTRODUCTION + details(results)}


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
