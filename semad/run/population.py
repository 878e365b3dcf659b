"""Who the members of a population are: seeds, training tricks, and points of a grid of values."""

from typing import NamedTuple

import jax.numpy as jnp

from semad.config.knob import shown
from semad.config.overrides import parse
from semad.config.schema import Settings
from semad.config.settings import flatten, traced_keys, trick_combinations, with_values
from semad.errors import UserError
from semad.losses import adversarial
from semad.methods import METHODS
from semad.types import Hparams, Method

MOST_MEMBERS = 4_096
"""Of a population: far more than any machine trains at once."""


class Member(NamedTuple):
    """What tells one member of a population from the others.

    Attributes:
      seed: of all its random numbers.
      tricks: one of `semad.losses.adversarial.COMBINATIONS`.
      point: its values of config keys, as `lr.generator=1e-4,lr.encoder=1e-5`.
    """

    seed: int
    tricks: str
    point: str = ""

    @property
    def variant(self) -> str:
        """What it shares with the members that differ from it by their seeds alone."""
        return " ".join(part for part in (self.tricks, self.point) if part)


def population(settings: Settings) -> list[Member]:
    """Every point with every combination of tricks and every seed.

    Raises:
      UserError: for more members than `MOST_MEMBERS`, or seeds beyond 32 bits.
    """
    seeds = settings.population.seeds
    combinations = trick_combinations(settings.population.tricks)
    count = len(points(settings)) * len(combinations) * seeds
    if count > MOST_MEMBERS:
        raise UserError(
            f"config.population has {count:,} members, points times tricks times seeds; at most "
            f"{MOST_MEMBERS:,} train together: make separate runs"
        )
    if settings.seed + seeds > 2**31:
        raise UserError(
            f"config.seed is {settings.seed}, and config.population.seeds is {seeds}: the last "
            f"seed is {settings.seed + seeds - 1}; it must be at most {2**31 - 1}"
        )
    return [
        Member(settings.seed + number, tricks, point)
        for point in points(settings)
        for tricks in combinations
        for number in range(seeds)
    ]


def members_in_use(members: list[Member], number: int) -> list[int]:
    """The numbers of the members that score, by `config.score.member`.

    Raises:
      UserError: when there is no such member, or members that trained differently would be mixed.
    """
    if number >= len(members):
        raise UserError(
            f"config.score.member is {number}, but the run has {len(members)} members, from 0 on"
        )
    if number >= 0:
        return [number]
    if len({member.variant for member in members}) > 1:
        raise UserError(
            "the run's members were trained differently, so the mean of their maps means nothing; "
            f"set --config.score.member, from 0 to {len(members) - 1}"
        )
    return list(range(len(members)))


def points(settings: Settings) -> list[str]:
    """The points that `config.population.points` names, separated by semicolons; one if none.

    Raises:
      UserError: for a point that is named twice.
    """
    named = settings.population.points.split(";")
    distinct = [point.strip() for point in named if point.strip()]
    if len(set(distinct)) < len(distinct):
        twice = shown(settings.population.points)
        raise UserError(f"config.population.points names a point twice: {twice}")
    return distinct or [""]


def settings_at(settings: Settings, point: str) -> Settings:
    """The settings of one point, checked.

    Raises:
      UserError: for a key that members cannot differ in, or a value out of its range.
    """
    assignments = [part.strip() for part in point.split(",") if part.strip()]
    known = traced_keys(settings)
    for assignment in assignments:
        if assignment.partition("=")[0].strip() not in known:
            raise UserError(
                f"config.population.points has {shown(assignment)}; members may differ in the "
                f"values of: {', '.join(known)}; for others make separate runs, as "
                "experiments/sweep.py does by itself"
            )
    return with_values(settings, parse(known, assignments))


def same_program(settings: Settings, other: Settings) -> bool:
    """Whether two settings differ by traced scalars alone, so that they can be one population."""
    first, second = flatten(settings), flatten(other)
    differing = {key for key in first.keys() | second.keys() if first.get(key) != second.get(key)}
    return differing <= set(traced_keys(settings))


def population_hparams(settings: Settings, method: Method, members: list[Member]) -> Hparams:
    """The method's scalars, (members,) each, with every member's tricks and values.

    Raises:
      UserError: for tricks of a system without a GAN loss, or a bad point.
    """
    rows = [adversarial.trick_hparams(member.tricks) for member in members]
    if any(any(row.values()) for row in rows) and not rows[0].keys() <= method.hparams.keys():
        tricks = shown(settings.population.tricks)
        raise UserError(
            f"config.population.tricks is {tricks}, but {method.name} has "
            "none of the thesis' tricks; leave it at none"
        )
    values = {
        point: METHODS[settings.method](settings_at(settings, point)).hparams
        if point
        else method.hparams
        for point in points(settings)
    }
    columns: dict[str, list[float]] = {name: [] for name in method.hparams}
    for member, row in zip(members, rows, strict=True):
        for name, value in (dict(values[member.point]) | row).items():
            if name in columns:
                columns[name].append(value)
    return {
        name: jnp.stack([jnp.full((), value) for value in column])
        for name, column in columns.items()
    }
