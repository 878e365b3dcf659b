"""Our figures beside the thesis', row by row: the tables and the figure of docs/reproduction.md.

python experiments/reproduce.py tiles --workdir runs/reproduction --data-dir data/nanotwice
python experiments/reproduction.py      # draws the learning curves
python experiments/results.py table     # writes the tables into docs/reproduction.md

A learning curve is the AUROC of a score on held-out tiles with planted defects, which needs no
label; it is recorded with the run's figures. The figures of the thesis are in thesis_tables.csv:
tables 51 to 55 and the comparisons of its chapter of results, as printed.
"""

import csv
import json
from pathlib import Path
from statistics import mean

from matplotlib.figure import Figure
from paths import DOCS, RESULTS
from tables import Result

from semad.reports.tables import markdown_line

THESIS = Path(__file__).resolve().parent / "thesis_tables.csv"
FIGURE = DOCS / "reproduction_curves.png"
CURVE = "validation/planted_tiles"
# In the thesis' order; steps are its batches of 64, over all phases (800 an epoch).
SYSTEMS = {
    "anogan": ("AnoGAN", 40_000),
    "bigan": ("BiGAN", 40_000),
    "alad": ("ALAD", 40_000),
    "ganomaly": ("GANomaly", 40_000),
    "skip_ganomaly": ("Skip-GANomaly", 40_000),
    "ebgan": ("EBGAN", 80_000),
    "encebgan": ("ENCEBGAN", 400_000),
    "sencebgan": ("SENCEBGAN", 480_000),
}
FIGURES = ("auroc", "precision", "recall", "f1")

Curve = list[tuple[int, float]]
"""(step, mean over seeds of the AUROC on planted tiles)."""


def _printed() -> list[dict[str, str]]:
    with THESIS.open() as file:
        return list(csv.DictReader(file))


def thesis() -> dict[str, dict[str, float]]:
    """By system's name its figures: the comparison with the thesis' proposals, or of those that
    stand in tables 51 to 55 alone the row Normal."""
    tricks = {SYSTEMS[row["system"]][0]: row for row in _printed() if row["row"] == "Normal"}
    compared = {row["system"]: row for row in _printed() if row["table"] == "proposed_baseline"}
    return {
        name: {key: float(row[key]) for key in FIGURES} for name, row in (tricks | compared).items()
    }


def tricks(system: str) -> dict[str, float]:
    """AUROC by row of a system's table among 51 to 55; empty without one."""
    return {
        row["row"]: float(row["auroc"])
        for row in _printed()
        if row["system"] == system and row["row"] != "-"
    }


def read_curve(workdir: Path) -> Curve:
    """Of a run's log; empty without a log or such a validation."""
    path = workdir / "log.jsonl"
    text = path.read_text() if path.is_file() else ""
    lines = [json.loads(line) for line in text.splitlines()]
    values = [(line["step"], line[CURVE]) for line in lines if CURVE in line]
    # The log has what is to become small.
    return [
        (step, round(-mean(value if isinstance(value, list) else [value]), 4))
        for step, value in values
    ]


def curves() -> dict[str, Curve]:
    """All recorded ones, by the run's name."""
    found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("curve_*.json"))]
    return {one["name"]: one["curve"] for one in found if one["curve"]}


def table(recorded: list[Result]) -> str:
    """A row per system of the thesis: its figures, ours at the largest preset, and the budgets."""
    # Runs on the networks of the thesis' draft are another experiment.
    named = {one["name"]: one for one in recorded if is_current(one)}
    ours = {key: _largest(named, key) for key in SYSTEMS}
    head = [
        "system",
        "thesis: AUROC",
        "ours: AUROC",
        "difference",
        "thesis: P, R, F1",
        "ours at the best percentile",
        "score",
        "seeds",
        "steps (thesis)",
        "width (thesis)",
        "tiles",
    ]
    lines = [markdown_line(head), markdown_line(["---"] * len(head))]
    printed = thesis()
    for key, (name, steps) in SYSTEMS.items():
        lines.append(markdown_line(_row(name, steps, printed[name], ours[key])))
    return "\n".join(lines) + "\n"


def _largest(named: dict[str, Result], key: str) -> Result | None:
    """The run of a system at the largest preset that was recorded."""
    runs = (named.get(f"nanotwice_{key}_{preset}") for preset in ("thesis", "medium", "small"))
    return next((run for run in runs if run), None)


def _row(name: str, steps: int, printed: dict[str, float], ours: Result | None) -> list[str]:
    cells = [name, f"{printed['auroc']:.3f}"]
    theirs = _three(printed)
    if ours is None:
        return [*cells, "not run yet", "–", theirs, *["–"] * 6]
    members = ours.get("members", [ours])
    best = [one["scores"][ours["score"]]["transductive_best"] for one in members]
    spread = f" ± {ours['std']['auroc']:.3f}" if "std" in ours else ""
    whole = ours["n_test"] == ours["n_available"]
    return [
        *cells,
        f"{ours['auroc']:.3f}{spread}",
        f"{ours['auroc'] - printed['auroc']:+.3f}",
        theirs,
        _three({key: mean(one[key] for one in best) for key in FIGURES[1:]}),
        f"`{ours['score']}`",
        str(len(members)),
        f"{ours['step']:,} ({steps:,})",
        f"{ours['config']['model']['width']:g} (1)",
        "all" if whole else f"{ours['n_test']:,}, a subset",
    ]


def _three(figures: dict[str, float]) -> str:
    return ", ".join(f"{figures[key]:.3f}" for key in FIGURES[1:])


CHANGES = {
    "range": "patches on [-1, 1], not standardised",
    "mean_loss": "the paper's loss: means over pixels and latents",
    "embeddings": "the encoder's loss of embeddings, not decodings",
    "raw": "weights as the optimiser left them, not averaged",
    "steps": "the steps of `small`",
}
"""What a row of `contributions` has otherwise, by the name that experiments/reproduce.py gives."""


def contributions(recorded: list[Result]) -> str:
    """What single choices contribute: AUROC of the first seed with all of them, and without one."""
    head = ["system", "otherwise", "AUROC, seed 0", "difference", "steps"]
    lines = [markdown_line(head), markdown_line(["---"] * len(head))]
    named = {one["name"]: one for one in recorded}
    for system in ("ganomaly", "sencebgan"):
        whole = named.get(f"contribution_{system}_all_medium")
        whole = whole or named.get(f"nanotwice_{system}_medium")
        if whole is None:
            continue
        base = _first_seed(whole)
        lines.append(markdown_line([system, "nothing", f"{base:.3f}", "–", f"{whole['step']:,}"]))
        for change, text in CHANGES.items():
            preset = "small" if change == "steps" else "medium"
            one = named.get(f"contribution_{system}_{change}_{preset}")
            if one is not None:
                value = _first_seed(one)
                cells = [system, text, f"{value:.3f}", f"{value - base:+.3f}", f"{one['step']:,}"]
                lines.append(markdown_line(cells))
    return "\n".join(lines) + "\n"


def _first_seed(result: Result) -> float:
    return result.get("members", [result])[0]["auroc"]


PUBLISHED_MEANS = {("mnist", "anogan"): 0.937}
"""AUROC, mean over ten classes, each the normal one in turn: by Deecke et al. 2018, unchecked."""


def items(recorded: list[Result]) -> str:
    """Means over the classes of MNIST and Fashion-MNIST, each the normal one in turn."""
    head = ["data", "system", "items", "score", "mean AUROC", "published", "classes 0 to 9"]
    lines = [markdown_line(head), markdown_line(["---"] * len(head))]
    named = {one["name"]: one for one in recorded if is_current(one)}
    for dataset in ("mnist", "fashion_mnist"):
        for system in ("anogan", "anogan_published", *list(SYSTEMS)[1:5], "ali"):
            runs = [named.get(f"{dataset}{label}_{system}_small") for label in range(10)]
            done = [run for run in runs if run]
            if done:
                lines += [
                    markdown_line(_items_row(dataset, system, runs, name))
                    for name in _both(done[0])
                ]
    return "\n".join(lines) + "\n" if len(lines) > 2 else "not run yet\n"


def is_current(result: Result) -> bool:
    """Whether it ran after the finished thesis was followed."""
    return "normalisation" in result["config"]["data"]


def _both(result: Result) -> list[str]:
    """The system's own score, and the one that all with a reconstruction have."""
    return [name for name in dict.fromkeys((result["score"], "ssim")) if name in result["scores"]]


def _items_row(dataset: str, system: str, runs: list[Result | None], score: str) -> list[str]:
    values = [run["scores"][score]["auroc"] if run else None for run in runs]
    done = [value for value in values if value is not None]
    tested = {f"{run['n_test']:,}" for run in runs if run}
    published = PUBLISHED_MEANS.get((dataset, system.removesuffix("_published")))
    own = score == next(run["score"] for run in runs if run)
    classes = ", ".join("–" if value is None else f"{value:.3f}" for value in values)
    return [
        dataset.replace("_", "-"),
        system.replace("_published", ", search as published"),
        ", ".join(sorted(tested)),
        f"`{score}`",
        f"{mean(done):.3f}" + ("" if len(done) == len(values) else f" (of {len(done)})"),
        f"{published:.3f}" if published and own and len(done) == len(values) else "–",
        classes,
    ]


def curve_table() -> str:
    """The curves at a few of their steps."""
    found = curves()
    if not found:
        return "none yet\n"
    lines = [markdown_line(["run", "AUROC on planted tiles, by step"]), markdown_line(["---"] * 2)]
    for name, curve in found.items():
        shown = curve[: -1 : max(1, len(curve) // 6)]
        points = ", ".join(f"{value:.3f} ({step:,})" for step, value in shown)
        last = f"**{curve[-1][1]:.3f} ({curve[-1][0]:,})**"
        lines.append(markdown_line([name, f"{points}, {last}"]))
    return "\n".join(lines) + "\n"


def draw(path: Path = FIGURE) -> None:
    """The curves as one figure."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, curve in curves().items():
        steps, values = zip(*curve, strict=True)
        axes.plot(steps, values, marker=".", label=name.removeprefix("nanotwice_"))
    axes.axhline(0.5, color="0.7", linewidth=0.8)
    axes.set(xlabel="step", ylabel="AUROC on held-out tiles with planted defects")
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    draw()
