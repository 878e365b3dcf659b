"""From a grid of config values to the fewest runs that shapes allow, for experiments/sweep.py."""

import hashlib
import itertools
import re
from pathlib import Path
from typing import NamedTuple

import ml_collections

from semad.config.overrides import override
from semad.config.settings import resolve, traced_keys
from semad.errors import UserError

_LONGEST = 100  # characters of a folder's name
EVALUATING = ("score.", "search.", "eval.", "select")
"""Prefixes of the keys that change how a run is evaluated, not how it is trained."""

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
    parsed: list[list[str]] = []
    for axis in grid:
        key, equals, values = axis.partition("=")
        if not equals or not values:
            raise UserError(f"--grid is {axis!r}; it must be like lr.generator=1e-4,2e-4")
        if key in ("method", "preset") or any(
            earlier[0].startswith(f"{key}=") for earlier in parsed
        ):
            raise UserError(f"--grid: {key} is named twice, or is no value of one config")
        parsed.append([f"{key}={value.strip()}" for value in values.split(",")])
    return parsed


def plan(base: ml_collections.ConfigDict, grid: list[list[str]], workdir: Path) -> list[Job]:
    """The runs that a grid takes, the fewest that shapes allow.

    With `select` the points run apart: a choice without labels is made for a whole run.

    Raises:
      UserError: for a value that is none.
    """
    scoring = [axis for axis in grid if axis[0].startswith(EVALUATING)]
    settings = resolve(base)
    numbers = traced_keys(settings)
    scalars = [axis for axis in grid if axis[0].partition("=")[0] in numbers]
    others = [axis for axis in grid if axis not in scoring and axis not in scalars]
    chosen = base.select != "none" or any(axis[0].startswith("select=") for axis in grid)
    jobs = []
    for other in itertools.product(*others):
        config = override(base, other)
        together: list[Point] = []
        apart: list[Point] = []
        for point in itertools.product(*scalars):
            resolve(override(config, point))  # raises for what is no value
            (apart if chosen else together).append(point)
        groups = [together] if together else []
        for group in groups + [[point] for point in apart]:
            jobs.append(_job(config, other, group, scoring, workdir))
    return jobs


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
        config, name = override(config, group[0]), folder_name(own) or "run"
    else:
        points = ";".join(map(",".join, group))
        config = override(config, [f"population.points={points}"])
        name = folder_name(own + (points,))
    run = workdir / name
    places = itertools.product(*scoring)
    evaluations = [
        (point, run / "evaluations" / folder_name(point) if point else run) for point in places
    ]
    for point, _ in evaluations:
        resolve(override(config, point))
    return Job(run, config, evaluations, own)


def folder_name(point: Point) -> str:
    """A folder's name; what is long or no name is told apart by a digest."""
    name = ",".join(point)
    plain = re.sub(r"[^\w.,=+-]", "_", name)
    if plain == name and len(name) <= _LONGEST:
        return name
    return f"{plain[:_LONGEST]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
