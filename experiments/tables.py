"""The tables of the pages docs/results/, made of recorded results (`experiments/results.py`)."""

import json
from collections.abc import Iterable
from statistics import mean, stdev
from typing import Any

from paths import RESULTS

from semad.reports.tables import markdown_line

BASELINES = ("brightness", "contrast", "local_minimum")
TILE = 32  # pixels
RANKING = ("auroc", "average_precision")
# Beside each system's own score, the same for all. No label-free choice: on NanoTWICE's labels SSIM
# was known to be the better residual (of PCA) before, and two systems' figures had been seen.
COMMON_SCORE = "ssim"

Result = dict[str, Any]


def summary(results: list[Result]) -> str:
    """One row per system and score, one column per data set: tiles and items, not pixels."""
    results = [result for result in results if _of_tiles_or_items(result)]
    datasets = list(dict.fromkeys(result["dataset"] for result in results))
    lines = _head(["system", "score", *map(_title, datasets), "training, s"])
    for name in BASELINES:
        cells = [_baseline_cell(results, dataset, name) for dataset in datasets]
        lines.append(markdown_line([name.replace("_", " "), "–", *cells, "–"]))
    for title in sorted({_title_of(result) for result in results}):
        own = {result["dataset"]: result for result in results if _title_of(result) == title}
        first = next(iter(own.values()))
        for score in _shown(first):
            cells = [_cell(own.get(dataset), score) for dataset in datasets]
            time = _training(own.get("nanotwice"))
            lines.append(markdown_line([_title_of(first), score, *cells, time]))
    return "\n".join(lines) + "\n"


def _title_of(result: Result) -> str:
    """The system and preset; the dense discriminator without its generator by its own config."""
    recommended = result["name"].endswith("_recommended")
    name = "recommended" if recommended else result["method"]
    return f"{name} `{result['config']['preset']}`{_earlier(result)}"


def _earlier(result: Result) -> str:
    """A mark for what ran before the finished thesis was followed, in networks and patches."""
    other = result["method"] in ("dense_discriminator", "inpainting")
    return "" if other or "normalisation" in result["config"]["data"] else " ‡"


def _of_tiles_or_items(result: Result) -> bool:
    """Not of pixels, nor of tiles of another size than the thesis', which compare with nothing, nor
    of one choice at a time (docs/reproduction.md)."""
    if result["name"].startswith("contribution_"):
        return False
    if result["protocol"] == "thesis_tiles":
        return result["config"]["data"]["patch_size"] == TILE
    return result["protocol"] != "pixel"


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


def detection(results: list[Result]) -> str:
    """Maps: one row per run with a label-free choice, the best first, below the baselines."""
    head = ("data", "system", "choice", "seeds", "pixels: AUROC", "over images")
    head += ("pixels: AP", "tiles: AUROC", "tiles: AP", "best possible: pixels, tiles")
    head += ("training, s", "run")
    lines = _head(head)
    dense = [result for result in results if result["protocol"] == "pixel"]
    for dataset in dict.fromkeys(result["dataset"] for result in dense):
        own = [result for result in dense if result["dataset"] == dataset]
        chosen = [result for result in own if result["selection"]] or own
        largest = max(chosen, key=lambda result: result["n_images"])
        lines += [_dense_baseline(dataset, name, largest) for name in BASELINES]
        best = _best_possible(dataset)
        rows = [_dense_row(result, results.index(result) + 1, best) for result in own]
        rows += [_ensemble_row(one, results.index(one) + 1) for one in own if "ensemble" in one]
        lines += [row for _, row in sorted(rows, key=lambda pair: -pair[0])]
    return "\n".join(lines) + "\n"


def _dense_baseline(dataset: str, name: str, result: Result) -> str:
    one = result["baselines"][name]
    tiles = one["tiles"]["max"]
    cells = (f"{one['auroc']:.3f}", _interval([one]), f"{one['average_precision']:.3f}")
    cells += (f"{tiles['auroc']:.3f}", f"{tiles['average_precision']:.3f}")
    choice = f"σ {one['smoothing']:g}"
    return markdown_line([dataset, name.replace("_", " "), choice, "–", *cells, "–", "–", "–"])


def _dense_row(result: Result, number: int, best: dict[str, Result]) -> tuple[float, str]:
    """AUROC, and the line of the score that was chosen."""
    score, members = result["score"], _members(result)
    own = [member["scores"][score] for member in members]
    sigma = result["config"]["score"]["smoothing"]
    auroc, precision = _figures(result, score, ("auroc", "average_precision"))
    tiles = [_spread([one["tiles"]["max"][key] for one in own]) for key in RANKING]
    possible = best.get(result["name"])
    cells = [
        result["dataset"],
        _system(result),
        f"{score}, σ {sigma:g}" + ("" if result["selection"] else " (not chosen)"),
        f"{len(members)}",
        *(auroc, _interval(own), precision, *tiles),
        f"{possible['auroc']:.3f}, {possible['tile_auroc']:.3f}" if possible else "–",
        *(_training(result), f"{number}"),
    ]
    subset = " †" if result["n_test"] < result["n_available"] else ""
    cells[1] += subset + _earlier(result)
    return mean(one["auroc"] for one in own), markdown_line(cells)


def _system(result: Result) -> str:
    return result["name"].removeprefix(f"pixel_{result['dataset']}_").removesuffix("_small")


def _ensemble_row(result: Result, number: int) -> tuple[float, str]:
    """The mean of the maps of all seeds."""
    one, tiles = result["ensemble"], result["ensemble"]["tiles"]["max"]
    cells = [result["dataset"], f"{_system(result)}, all seeds together{_earlier(result)}"]
    cells += ["as above"]
    cells += [f"{len(_members(result))}", f"{one['auroc']:.3f}", _interval([one])]
    cells += [f"{value:.3f}" for value in (one["average_precision"], *(tiles[k] for k in RANKING))]
    return one["auroc"], markdown_line([*cells, "–", "–", f"{number}"])


def _best_possible(dataset: str) -> dict[str, Result]:
    """Of the first member, by its labels, which nobody has: highest figures over all settings."""
    path = RESULTS / f"choice_{dataset}.json"
    if not path.is_file():
        return {}
    found: dict[str, Result] = {}
    for row in json.loads(path.read_text())["rows"]:
        one = found.setdefault(f"pixel_{row['run']}", {"auroc": 0.0, "tile_auroc": 0.0})
        for key in one:
            one[key] = max(one[key], row.get(key, 0.0))
    return found


def mapping() -> str:
    """One row per system: seconds to map one micrograph at each stride, and peak memory."""
    cases = json.loads((RESULTS / "benchmark_maps.json").read_text())["cases"]
    strides = list(dict.fromkeys(case["stride"] for case in cases))
    lines = _head(["system", *(f"stride {stride}, s" for stride in strides), "peak memory, MiB"])
    for method in dict.fromkeys(case["method"] for case in cases):
        own = [case for case in cases if case["method"] == method]
        times = [f"{case['seconds']:,.1f}{' §' if case['extrapolated'] else ''}" for case in own]
        lines.append(markdown_line([method, *times, f"{max(case['peak_mib'] for case in own)}"]))
    return "\n".join(lines) + "\n"


def _interval(parts: list[Result]) -> str:
    """The bootstrap interval of AUROC, its ends averaged over members."""
    low, high = (mean(part["intervals"]["auroc"][end] for part in parts) for end in (0, 1))
    return f"{low:.3f} – {high:.3f}"


def _shown(result: Result) -> list[str]:
    """The system's own score, and the one that all with a reconstruction have."""
    names = dict.fromkeys((result["score"], COMMON_SCORE))
    return [name for name in names if name in _members(result)[0]["scores"]]


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
                lines.append(
                    markdown_line([*place, title, "–", "–", items, *figures, "–", "–", "–"])
                )
        for score in _scores(result):
            figures = _figures(result, score, ("auroc", "average_precision", "f1"))
            name = f"**{score}**" if score == result["score"] else score
            system = _title_of(result)
            seeds = str(len(_members(result)))
            cells = [*place, system, name, seeds, items, *figures, _training(result), f"{number}"]
            lines.append(markdown_line(cells))
    commands = "\n".join(f"{i}. `{result['command']}`" for i, result in enumerate(results, 1))
    return "\n".join(lines) + f"\n\nThe runs:\n\n{commands}\n"


def _head(names: Iterable[str]) -> list[str]:
    columns = list(names)
    return [markdown_line(columns), markdown_line(["---"] * len(columns))]


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
