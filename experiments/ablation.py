"""Tables 51 to 55 of the thesis: a system under each combination of training tricks.

python experiments/ablation.py --config configs/bigan.py:small --workdir runs/ablation_bigan \\
    --config.data.dir=data/nanotwice

All rows times `config.population.seeds` (3 where it is 1) are one population. With a cross-entropy
GAN loss flipped labels (LF) change nothing but names (`semad.losses.adversarial`), so a combination
with LF and the same without it are two draws of one condition: the four without it are trained, and
where a population has both, their members are pooled into one row.
What is trained or evaluated already is not done again, so the same command goes on after a stop.
Writes table.md, table.csv, table.tex, figure.png and report.json into `<workdir>/ablation/`, and
with `--record` the report into `experiments/results/`.

Figures at a threshold are those of the config's rule, by default a quantile of held-out *normal*
scores. The thesis takes the percentile of the *test* scores with the highest F1; that is given
beside.
"""

import json
import sys
from pathlib import Path
from statistics import mean
from typing import Any

import ml_collections
from absl import app, flags
from paths import LEDGER, RESULTS

from semad import commandline, plots
from semad.config.flags import define_config_flag, parse_flags
from semad.config.settings import resolve, trick_combinations
from semad.errors import UserError
from semad.evaluation.compared import read_metrics, read_variants
from semad.losses.adversarial import COMBINATIONS
from semad.methods import METHODS
from semad.metrics.statistics import ComparedSystem, compare, verdict
from semad.reports import ablation
from semad.run.population import population
from semad.sweeps.run_if_missing import publish, rounded, run_if_missing
from semad.utils.files import write_text

SEEDS = 3
CONDITIONS = ("none", "IN", "SL", "IN+SL")
"""All there are where flipped labels change nothing but names."""

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "Folder of the population, and of the tables.")
flags.DEFINE_string("record", None, "Keep the report as experiments/results/ablation_<name>.json.")


def settle(config: ml_collections.ConfigDict) -> None:
    """All conditions unless the config names some, and three seeds unless it asks for more.

    Raises:
      UserError: for a population without a row to compare with.
    """
    if config.population.points:
        raise UserError("config.population.points is for sweeps; an ablation is of tricks alone")
    if config.population.tricks == "none":
        symmetric = METHODS[config.method](resolve(config)).label_symmetric
        config.population.tricks = ",".join(CONDITIONS) if symmetric else "all"
    if config.population.seeds == 1:
        config.population.seeds = SEEDS
    if trick_combinations(config.population.tricks)[0] != "none":
        raise UserError("config.population.tricks must begin with none, the row of comparison")


def report(folder: Path, command: str) -> dict[str, Any]:
    """What the tables show, from an evaluation of a population of tricks."""
    result = read_metrics(folder)
    settings = resolve(result["config"])
    name = titles(METHODS[settings.method](settings).label_symmetric)
    rows = compare(pooled(read_variants(folder), name), name["none"])
    best = "transductive_best" in result["members"][0]["scores"][result["score"]]
    for row in rows:
        group = [one for one in result["members"] if name[one["tricks"]] == row["name"]]
        row["transductive"] = _transductive(group, result["score"]) if best else {}
        row["scores"] = {
            key: {figure: mean(one["scores"][key][figure] for one in group) for figure in _RANKING}
            for key in group[0]["scores"]
        }
    result["config"]["data"]["dir"] = None  # says nothing on another machine
    return {
        "command": command,
        "system": result["method"],
        "dataset": result["dataset"],
        "protocol": result["protocol"],
        "preset": result["config"]["preset"],
        "score": result["score"],
        "step": result["step"],
        "seeds": sorted({one["seed"] for one in result["members"]}),
        "n_test": result["n_test"],
        "n_available": result["n_available"],
        "n_anomalous": result["n_anomalous"],
        "threshold": {
            "rule": result["config"]["score"]["threshold_rule"],
            "rate": result["config"]["score"]["threshold_rate"],
        },
        "percentile": "best" if best else None,
        "verdict": verdict(rows, name["none"]),
        "rows": rows,
        "baselines": result["baselines"],
        "training_seconds": result["training_seconds"],
        "seconds": result["seconds"],
        "versions": result["versions"],
        "config": result["config"],
    }


_RANKING = ("auroc", "average_precision")


def _transductive(group: list[dict[str, Any]], score: str) -> dict[str, float]:
    own = [one["scores"][score]["transductive_best"] for one in group]
    return {key: mean(one[key] for one in own) for key in ("precision", "recall", "f1")}


def titles(symmetric: bool) -> dict[str, str]:
    """The row of every combination; with `symmetric`, of LF and without it the same."""
    if not symmetric:
        return {tricks: ablation.title(tricks) for tricks in COMBINATIONS}
    plain = {tricks: tricks.replace("+LF", "").replace("LF", "none") for tricks in COMBINATIONS}
    return {tricks: ablation.title(same) for tricks, same in plain.items()}


def pooled(variants: list[ComparedSystem], name: dict[str, str]) -> list[ComparedSystem]:
    """The variants of one row as one, with the members of all."""
    rows: dict[str, ComparedSystem] = {}
    for one in variants:
        row = name[one.name]
        before = rows[row].binned if row in rows else ()
        rows[row] = one._replace(name=row, binned=[*before, *one.binned])
    return list(rows.values())


def write(folder: Path, made: dict[str, Any]) -> None:
    """The tables, the figure and the report; others that stood there are kept."""
    files = {
        "table.md": ablation.markdown(made),
        "table.csv": ablation.comma_separated(made),
        "table.tex": ablation.latex(made),
        "report.json": json.dumps(made, indent=1) + "\n",
    }
    publish(folder, files)
    plots.forest(folder / "figure.png", made["rows"], "auroc", made["rows"][0]["name"])


def main(argv: list[str]) -> None:
    """Trains and evaluates what is missing, and writes the tables."""
    with commandline.one_line_errors():
        if len(argv) > 1:
            raise UserError(f"unexpected argument {argv[1]!r}; flags start with --")
        if not FLAGS.workdir:
            raise UserError("--workdir is missing; give a folder, like runs/ablation_bigan")
        workdir, config = Path(FLAGS.workdir), FLAGS.config
        settle(config)
        folder = run_if_missing(workdir, config, ledger=LEDGER)
        made = report(folder, " ".join(["python", *sys.argv]))
        write(workdir / "ablation", made)
        if FLAGS.record:
            path = RESULTS / f"ablation_{FLAGS.record}.json"
            write_text(path, json.dumps(rounded(made), indent=1) + "\n")
        print(ablation.markdown(made) + "\n" + made["verdict"])
        number = len(population(resolve(config)))
        print(f"{number} members; tables and figure: {workdir / 'ablation'}")


if __name__ == "__main__":
    commandline.setup_logging()
    with commandline.one_line_errors():
        define_config_flag(sys.argv)
        app.run(main, flags_parser=parse_flags)
