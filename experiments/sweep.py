"""Any config times any grid of values: one results file, and as few trainings as possible.

python experiments/sweep.py --config configs/bigan.py:small --workdir runs/sweep \\
    --grid lr.generator=1e-4,2e-4 --grid train.batch_size=32,64 --grid score.name=l1,ssim \\
    data.name=nanofibres population.seeds=3
python experiments/sweep.py ... --commands              # prints a command per run, for any engine
python experiments/sweep.py ... --slurm slurm_partition=gpu,timeout_min=60   # through submitit

Values that only enter the losses as traced scalars (`lr.*`, weights in `loss.*`: keys whose row in
`semad/config/schema.py` says `traced`) train as one population, with `population.seeds` and
`population.tricks`. Values of the evaluation (`score.*`, `search.*`, `eval.*`, `select`) score a
trained population again. All others make separate runs. What is there already is not done again.
Writes results.json and results.csv into the workdir: a row per point, with mean and standard
deviation over its seeds; rows of earlier grids stay. A run that diverges leaves a row with `error`,
and its points are tried apart. To choose by them is to choose on test labels; `select=synthetic`
adds `validated`, the value of the label-free validator, which is what to choose by.
"""

import argparse
import csv
import io
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import ml_collections
from paths import LEDGER

from semad.commandline import one_line_errors, setup_logging
from semad.config.overrides import named, override
from semad.config.settings import resolve
from semad.errors import TrainingDiverged, UserError
from semad.evaluation.compared import read_metrics
from semad.evaluation.results import summary, variant
from semad.metrics.ranking import metric_names
from semad.run.population import points
from semad.sweeps.grid import Job, Point, axes, folder_name, plan
from semad.sweeps.run_if_missing import run_if_missing
from semad.utils.files import write_text
from semad.utils.versions import versions


def settle(job: Job) -> list[dict[str, Any]]:
    """The rows of a run; of a population that diverges, of its points apart."""
    try:
        return complete(job)
    except TrainingDiverged as error:
        together = points(resolve(job.config))
        if together == [""]:
            own = dict(one.split("=", 1) for one in job.own)
            return [own | {"error": str(error), "evaluation": str(job.workdir)}]
    rows = []
    for point in together:
        own = (*job.own, *point.split(","))
        config = override(job.config, [*point.split(","), "population.points="])
        run = job.workdir.with_name(folder_name(own))
        places = [
            (scored, run / output.relative_to(job.workdir)) for scored, output in job.evaluations
        ]
        rows += settle(Job(run, config, places, own))
    return rows


def complete(job: Job) -> list[dict[str, Any]]:
    """Trains and evaluates what is missing of a run: its rows."""
    rows = []
    for point, output in job.evaluations:
        config = override(job.config, point)
        folder = run_if_missing(job.workdir, config, output, ledger=LEDGER)
        result = read_metrics(folder)
        members = result.get("members", [result])
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
    for key in metric_names():
        row[key] = figures[key]
        row[f"{key}_std"] = figures["std"][key] if "std" in figures else None
    return row | {"evaluation": str(folder)}


def main() -> None:
    """Runs what is missing, or says how to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--config", required=True, help="a file in configs/, with :preset")
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--grid", action="append", default=[], help="<key>=<value>,<value>,...")
    parser.add_argument("--commands", action="store_true", help="print a command per run")
    parser.add_argument("--slurm", help="submit a job per run, with these settings of submitit")
    parser.add_argument("--only", type=int, help="do the run of this number, from 0 on, alone")
    parser.add_argument("overrides", nargs="*", help="<key>=<value> for all runs")
    arguments = parser.parse_args()
    setup_logging()
    with one_line_errors():
        jobs = plan(_base(arguments), axes(arguments.grid), arguments.workdir)
        if arguments.only is not None:
            if not 0 <= arguments.only < len(jobs):
                raise UserError(
                    f"--only is {arguments.only}; there are {len(jobs)} runs, from 0 on"
                )
            settle(jobs[arguments.only])
            return
        commands = [_command(arguments, number) for number in range(len(jobs))]
        if arguments.commands:
            print("\n".join(map(shlex.join, commands)))
        elif arguments.slurm:
            _submit(commands, arguments.workdir, arguments.slurm)
        else:
            rows: list[dict[str, Any]] = []
            for job in jobs:
                rows += settle(job)
                _write(arguments.workdir, rows)
            print((arguments.workdir / "results.csv").read_text())


def _base(arguments: argparse.Namespace) -> ml_collections.ConfigDict:
    path, _, preset = arguments.config.partition(":")
    return named(path, preset, arguments.overrides)


def _command(arguments: argparse.Namespace, number: int) -> list[str]:
    """This call again, for one run."""
    grid = [part for axis in arguments.grid for part in ("--grid", axis)]
    own = ["--config", arguments.config, "--workdir", str(arguments.workdir), *grid]
    return [sys.executable, sys.argv[0], *own, "--only", str(number), *arguments.overrides]


def _submit(commands: list[list[str]], workdir: Path, settings: str) -> None:
    """A job per command through submitit, which is an extra: pip install 'semad[slurm]'."""
    try:
        import submitit
    except ModuleNotFoundError as error:
        raise UserError(
            "--slurm needs submitit: pip install 'semad[slurm]'; or use --commands"
        ) from error
    if not all("=" in part for part in settings.split(",")):
        raise UserError(
            f"--slurm is {settings!r}; it must be like slurm_partition=gpu,cpus_per_task=4"
        )
    parameters: dict[str, Any] = dict(part.split("=", 1) for part in settings.split(","))
    cluster = parameters.pop("cluster", None)  # local: here, to try it
    executor = submitit.AutoExecutor(folder=workdir / "jobs", cluster=cluster)
    numbers = {key: int(value) for key, value in parameters.items() if value.isdigit()}
    try:
        executor.update_parameters(**parameters | numbers)
    except (NameError, AssertionError, TypeError, ValueError) as error:
        raise UserError(f"--slurm is {settings!r}: {' '.join(str(error).split())}") from error
    with executor.batch():
        jobs = [executor.submit(submitit.helpers.CommandFunction(one)) for one in commands]
    for job, one in zip(jobs, commands, strict=True):
        print(f"{job.job_id}: {shlex.join(one)}")
    print(f"when they are done, the same command without --slurm writes {workdir / 'results.csv'}")


def _write(workdir: Path, rows: list[dict[str, Any]]) -> None:
    """All rows so far, and those of earlier grids."""
    path = workdir / "results.json"
    earlier = json.loads(path.read_text())["rows"] if path.is_file() else []
    known = [_identity(row) for row in rows]
    rows = [row for row in earlier if _identity(row) not in known] + rows
    names = list(dict.fromkeys(key for row in rows for key in row))
    file = io.StringIO()
    writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(workdir / "results.csv", file.getvalue())
    about = {"command": " ".join(["python", *sys.argv]), "versions": versions()}
    write_text(path, json.dumps(about | {"rows": rows}, indent=1) + "\n")


def _identity(row: dict[str, Any]) -> dict[str, Any]:
    """What a row is of: its place, and the values that are its own."""
    return {
        key: value for key, value in row.items() if "." in key or key in ("evaluation", "tricks")
    }


if __name__ == "__main__":
    main()
