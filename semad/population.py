"""Who the members of a population are: seeds, training tricks, and points of a grid of values."""

import json
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections

from semad import adversarial
from semad import config as configs
from semad.errors import UserError
from semad.methods import METHODS
from semad.overrides import override
from semad.scoring.batched import Scoring, make_scorer
from semad.training.state import init_population, init_state
from semad.training.step import apply_update
from semad.types import Batch, Hparams, Method, Update

# Sections whose values may enter a program as traced scalars; what others do shows elsewhere.
_SCALARS = ("lr", "loss")


class Member(NamedTuple):
    """What tells one member of a population from the others.

    Attributes:
      seed: of all its random numbers.
      tricks: one of `semad.adversarial.COMBINATIONS`.
      point: overrides of the config that are its own, as `lr.generator=1e-4,lr.encoder=1e-5`.
    """

    seed: int
    tricks: str
    point: str = ""

    @property
    def variant(self) -> str:
        """What it shares with the members that differ from it by their seeds alone."""
        return " ".join(part for part in (self.tricks, self.point) if part)


def members(config: ml_collections.ConfigDict) -> list[Member]:
    """The population: every point with every combination of tricks and every seed."""
    return [
        Member(config.seed + number, tricks, point)
        for point in points(config)
        for tricks in configs.combinations(config.population.tricks)
        for number in range(config.population.seeds)
    ]


def seeds(config: ml_collections.ConfigDict) -> list[int]:
    """The seed of every member."""
    return [member.seed for member in members(config)]


def in_use(config: ml_collections.ConfigDict) -> list[int]:
    """The numbers of the members that score, by `config.score.member`.

    Raises:
      UserError: when there is no such member, or members that trained differently would be mixed.
    """
    found, number = members(config), config.score.member
    if number >= len(found):
        raise UserError(
            f"config.score.member is {number}, but the run has {len(found)} members, from 0 on"
        )
    if number >= 0:
        return [number]
    if len({member.variant for member in found}) > 1:
        raise UserError(
            "the run's members were trained differently, so the mean of their maps means nothing; "
            f"set --config.score.member, from 0 to {len(found) - 1}"
        )
    return list(range(len(found)))


def points(config: ml_collections.ConfigDict) -> list[str]:
    """The points that `config.population.points` names, separated by semicolons; one if none.

    Raises:
      UserError: for a point that is named twice.
    """
    found = [point.strip() for point in config.population.points.split(";") if point.strip()]
    if len(set(found)) < len(found):
        raise UserError(f"config.population.points names a point twice: {'; '.join(found)}")
    return found or [""]


def at(config: ml_collections.ConfigDict, point: str) -> ml_collections.ConfigDict:
    """The config of one point, checked.

    Raises:
      UserError: for a key that the config does not have, or a value out of its range.
    """
    assignments = [part.strip() for part in point.split(",") if part.strip()]
    known = numbers(config)
    for assignment in assignments:
        if assignment.partition("=")[0].strip() not in known:
            raise UserError(
                f"config.population.points has {assignment!r}; members may differ in the numbers "
                f"of: {', '.join(known)}; for others make separate runs, as "
                "experiments/sweep.py does by itself"
            )
    own = override(config, assignments)
    configs.validate(own)
    return own


def numbers(config: ml_collections.ConfigDict) -> list[str]:
    """The keys of a config whose values members may differ in, if the method allows."""
    values = configs.flatten({name: config[name] for name in _SCALARS if name in config})
    return [key for key, value in values.items() if isinstance(value, float)]


def hparams(config: ml_collections.ConfigDict, method: Method) -> Hparams:
    """The method's scalars, (members,) each, with every member's tricks and values.

    Raises:
      UserError: for tricks that a system without a game cannot play, or a bad point.
    """
    rows = [adversarial.switches(member.tricks) for member in members(config)]
    if any(any(row.values()) for row in rows) and not rows[0].keys() <= method.hparams.keys():
        raise UserError(
            f"config.population.tricks is {config.population.tricks!r}, but {method.name} has "
            "none of the thesis' tricks; leave it at none"
        )
    values = {
        point: METHODS[config.method](at(config, point)).hparams if point else method.hparams
        for point in points(config)
    }
    columns: dict[str, list[float]] = {name: [] for name in method.hparams}
    for member, row in zip(members(config), rows, strict=True):
        for name, value in (values[member.point] | row).items():
            if name in columns:
                columns[name].append(value)
    return {name: jnp.stack([jnp.full((), v) for v in own]) for name, own in columns.items()}


def check_points(config: ml_collections.ConfigDict, method: Method) -> None:
    """Checks that all points run one compiled program, so that they can be one population.

    Raises:
      UserError: for a point that trains or scores by another program.
    """
    for point in filter(None, points(config)):
        if not same_program(config, at(config, point)):
            raise UserError(
                f"config.population.points: {point!r} makes another program of {method.name}, so "
                "it cannot train beside the others; make separate runs, as experiments/sweep.py "
                "does by itself"
            )


def same_program(config: ml_collections.ConfigDict, other: ml_collections.ConfigDict) -> bool:
    """Whether two configs differ by traced scalars alone: what they compile is the same.

    Of both, everything is compared that a method brings of its own: the initial weights, every
    update of every phase, and the scores; how patches are drawn and normalised, and weights
    averaged, no point of a population can change.
    """
    texts = [one.to_json(sort_keys=True) for one in (config, other)]
    return texts[0] == texts[1] or _programs(texts[0]) == _programs(texts[1])


@lru_cache(maxsize=4)
def _programs(text: str) -> list[Any]:
    """Of a config as JSON: tracing takes seconds, and the points of a grid share their base."""
    config = ml_collections.ConfigDict(json.loads(text))
    method = METHODS[config.method](config)
    size, channels = config.data.patch_size, config.data.channels
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(lambda: init_state(method, 0))
    scalars = {name: jax.ShapeDtypeStruct((), jnp.float32) for name in method.hparams}
    batch = Batch(
        jax.ShapeDtypeStruct((config.train.batch_size, size, size, channels), jnp.float32),
        jax.ShapeDtypeStruct((config.train.batch_size, method.latent_dim), jnp.float32),
        jax.ShapeDtypeStruct((), jnp.float32),
    )
    patches = jax.ShapeDtypeStruct((1, size, size, channels), jnp.uint8)

    def move(update: Update, training: frozenset[str]) -> str:
        step = jax.jit(lambda *inputs: apply_update(method, update, training, *inputs))
        return step.lower(state, batch, key, scalars).as_text()

    found: list[Any] = [jax.jit(lambda: init_population(method, [0])).lower().as_text()]
    for phase in method.phases:
        training = frozenset(name for update in phase.updates for name in update.trains)
        found.append((phase.name, phase.epochs))
        found += [(one.name, one.repeat, move(one, training)) for one in phase.updates]
    scoring = Scoring(state.ema, scalars, key)
    found.append(jax.jit(make_scorer(method)).lower(scoring, patches).as_text())
    return found
