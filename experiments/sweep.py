"""Any config times any grid of values: one results file, and as few trainings as possible.

python experiments/sweep.py --config configs/bigan.py:small --workdir runs/sweep \\
    --grid lr.generator=1e-4,2e-4 --grid train.batch_size=32,64 --grid score.name=l1,ssim \\
    data.name=nanofibres population.seeds=3
python experiments/sweep.py ... --commands              # prints a command per run, for any engine
python experiments/sweep.py ... --slurm partition=gpu,timeout_min=60     # through submitit

Values that only enter the losses as traced scalars (`lr.*`, weights in `loss.*`) train as one
population, with `population.seeds` and `population.tricks`; that they do so is checked by comparing
the programs. Values of the evaluation (`score.*`, `search.*`, `eval.*`, `select`) score a
trained population again. All others make separate runs. What is there already is not done again.
Writes results.json and results.csv into the workdir: a row per point, with mean and standard
deviation over its seeds. To choose by them is to choose on test labels; `select=synthetic` adds
`validated`, the value of the label-free validator, which is what to choose by.
"""

import argparse
import csv
import io
import itertools
import json
import shlex
import sys
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections

from semad import campaign, launch, population
from semad import config as configs
from semad.errors import UserError
from semad.evaluation import entries
from semad.evaluation.results import FIGURES, summary, variant
from semad.files import write_text
from semad.overrides import named, override

EVALUATING = ("score.", "search.", "eval.", "select")

Point = tuple[str, ...]
"""`<key>=<value>`, one per axis of the grid."""


class Job(NamedTuple):
    """A run: a population, and how it is evaluated.

    Attributes:
      workdir: of the run.
      config: of the population.
      evaluations: overrides of each evaluation, with its folder.
      own: what tells it from other runs.
    """

    workdir: Path
    config: ml_collections.ConfigDict
    evaluations: list[tuple[Point, Path]]
    own: Point


def axes(grid: list[str]) -> list[list[str]]:
    """`key=a,b` -> [key=a, key=b], for each axis.

    Raises:
      UserError: for an axis without values.
    """
    found = []
    for axis in grid:
        key, equals, values = axis.partition("=")
        if not equals or not values:
            raise UserError(f"--grid is {axis!r}; it must be like lr.generator=1e-4,2e-4")
        found.append([f"{key}={value.strip()}" for value in values.split(",")])
    return found


def plan(base: ml_collections.ConfigDict, grid: list[list[str]], workdir: Path) -> list[Job]:
    """The runs that a grid takes, the fewest that shapes allow."""
    scoring = [axis for axis in grid if axis[0].startswith(EVALUATING)]
    numbers = population.numbers(base)
    scalars = [axis for axis in grid if axis[0].partition("=")[0] in numbers]
    others = [axis for axis in grid if axis not in scoring and axis not in scalars]
    jobs = []
    for other in itertools.product(*others):
        config = override(base, other)
        together, apart = [], []
        for point in itertools.product(*scalars):
            fits = _same_program(config, point)
            (together if fits else apart).append(point)
        groups = [together] if together else []
        for group in groups + [[point] for point in apart]:
            jobs.append(_job(config, other, group, scoring, workdir))
    return jobs


def _same_program(config: ml_collections.ConfigDict, point: Point) -> bool:
    try:
        return population.same_program(config, population.at(config, ",".join(point)))
    except UserError:
        override(config, point)  # complains of what is no value at all
        return False


def _job(
    config: ml_collections.ConfigDict,
    other: Point,
    group: list[Point],
    scoring: list[list[str]],
    workdir: Path,
) -> Job:
    own = other
    if len(group) == 1:
        own = other + group[0]
        config = override(config, group[0])
    else:
        config = override(config, [f"population.points={';'.join(map(','.join, group))}"])
    run = workdir / (_name(own) or "all")
    points = list(itertools.product(*scoring))
    evaluations = [
        (point, run / "evaluations" / _name(point) if point else run) for point in points
    ]
    return Job(run, config, evaluations, own)


def _name(point: Point) -> str:
    return ",".join(point).replace("/", "_").replace(" ", "")


def complete(job: Job) -> list[dict[str, Any]]:
    """Trains and evaluates what is missing of a run: its rows."""
    rows = []
    for point, output in job.evaluations:
        config = override(job.config, point)
        folder = campaign.complete(job.workdir, config, output)
        result = entries.read(folder)
        members = result.get("members", [result | {"tricks": "none", "point": ""}])
        for name in dict.fromkeys(map(variant, members)):
            group = [one for one in members if variant(one) == name]
            rows.append(_row(job, point, group, result, folder))
    return rows


def _row(
    job: Job, point: Point, group: list[dict[str, Any]], result: dict[str, Any], folder: Path
) -> dict[str, Any]:
    first = group[0]
    own = (*job.own, *(part for part in first["point"].split(",") if part), *point)
    row: dict[str, Any] = dict(one.split("=", 1) for one in own)
    if len({one["tricks"] for one in result.get("members", [])}) > 1:
        row["tricks"] = first["tricks"]
    row |= {"score": result["score"], "seeds": len(group), "step": result["step"]}
    if result["selection"]:
        row["validated"] = result["selection"]["chosen"]["value"]
    figures = summary([one | {"point": "", "tricks": ""} for one in group], "")
    for key in FIGURES:
        row[key] = figures[key]
        row[f"{key}_std"] = figures["std"][key] if "std" in figures else None
    return row | {"evaluation": str(folder)}


def main() -> None:
    """Runs what is missing, or says how to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True, help="a file in configs/, with :preset")
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--grid", action="append", default=[], help="<key>=<value>,<value>,...")
    parser.add_argument("--commands", action="store_true", help="print a command per run")
    parser.add_argument("--slurm", help="submit a job per run, with these settings of submitit")
    parser.add_argument("--only", type=int, help="do the run of this number, from 0 on, alone")
    parser.add_argument("overrides", nargs="*", help="<key>=<value> for all runs")
    arguments = parser.parse_args()
    launch.setup_logging()
    with launch.one_line_errors():
        jobs = plan(_base(arguments), axes(arguments.grid), arguments.workdir)
        if arguments.commands or arguments.slurm:
            commands = [_command(number) for number in range(len(jobs))]
            if arguments.commands:
                print("\n".join(map(shlex.join, commands)))
            else:
                _submit(commands, arguments.workdir, arguments.slurm)
            return
        if arguments.only is not None:
            complete(jobs[arguments.only])
            return
        rows: list[dict[str, Any]] = []
        for job in jobs:
            rows += complete(job)
            _write(arguments.workdir, rows)
        print((arguments.workdir / "results.csv").read_text())


def _base(arguments: argparse.Namespace) -> ml_collections.ConfigDict:
    path, _, preset = arguments.config.partition(":")
    config = named(path, preset, arguments.overrides)
    configs.validate(config)
    return config


def _command(number: int) -> list[str]:
    """This command again, for one run."""
    own = [part for part in sys.argv[1:] if part != "--commands"]
    if "--slurm" in own:
        place = own.index("--slurm")
        del own[place : place + 2]
    return ["python", sys.argv[0], "--only", str(number), *own]


def _submit(commands: list[list[str]], workdir: Path, settings: str) -> None:
    """A job per command through submitit, which is an extra: pip install 'semad[slurm]'."""
    try:
        import submitit
    except ModuleNotFoundError as error:
        raise UserError(
            "--slurm needs submitit: pip install 'semad[slurm]'; or use --commands"
        ) from error
    parameters = dict(part.split("=", 1) for part in settings.split(",") if part)
    cluster = parameters.pop("cluster", None)  # local runs here, to try it
    executor = submitit.AutoExecutor(folder=workdir / "jobs", cluster=cluster)
    executor.update_parameters(
        **{key: int(value) if value.isdigit() else value for key, value in parameters.items()}
    )
    with executor.batch():
        jobs = [executor.submit(submitit.helpers.CommandFunction(one)) for one in commands]
    print(
        "\n".join(
            f"{job.job_id}: {shlex.join(one)}" for job, one in zip(jobs, commands, strict=True)
        )
    )
    print(f"when they are done, the same command without --slurm writes {workdir / 'results.csv'}")


def _write(workdir: Path, rows: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(key for row in rows for key in row))
    file = io.StringIO()
    writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(workdir / "results.csv", file.getvalue())
    about = {"command": " ".join(["python", *sys.argv]), "versions": configs.versions()}
    write_text(workdir / "results.json", json.dumps(about | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
