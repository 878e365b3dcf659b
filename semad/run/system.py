"""A config resolved: the method, the members of its population, and how it scores; no data yet."""

from typing import Any, NamedTuple, NoReturn, cast

import jax
import jax.numpy as jnp
import ml_collections

from semad.config.knob import shown
from semad.config.schema import Settings
from semad.config.settings import resolve
from semad.data.normalisation import resolve_normalisation
from semad.errors import UserError
from semad.methods import METHODS
from semad.run.population import Member, population, population_hparams
from semad.run.state import init_population, member, overlay
from semad.scoring.batched import ScoringState, make_scorer
from semad.scoring.tiling import MapTiling
from semad.types import Hparams, Method, TrainState, Weights
from semad.utils import backend
from semad.utils.rng import Stream, stream


class ScoringPlan(NamedTuple):
    """How scores and maps are made, resolved for this backend.

    Attributes:
      score: name of the score that results are about.
      chunk: patches per call of a scorer, over all local devices.
      tiling: how maps are made of patches or windows.
    """

    score: str
    chunk: int
    tiling: MapTiling


class System(NamedTuple):
    """What training, scoring and evaluation share, whatever the data.

    Attributes:
      settings: the config, resolved.
      method: built from it.
      members: of the population.
      hparams: the method's scalars, (members,) each.
      scoring: how it scores.
    """

    settings: Settings
    method: Method
    members: list[Member]
    hparams: Hparams
    scoring: ScoringPlan

    def __reduce__(self) -> NoReturn:
        """Raises: losses and scores are functions made by functions.

        Raises:
          TypeError: always; the settings can be pickled, and `build` makes the system of them.
        """
        raise TypeError(
            "a System holds functions, which cannot be pickled; pickle its settings, and call "
            "semad.run.system.build(settings) where they are loaded"
        )

    @property
    def seeds(self) -> list[int]:
        """The seed of every member."""
        return [member.seed for member in self.members]


def build(config: ml_collections.ConfigDict | Settings) -> System:
    """The system of a config.

    Raises:
      UserError: for a bad value, or one that does not suit the method.
    """
    settings = config if isinstance(config, Settings) else resolve(config)
    if settings.method not in METHODS:
        raise UserError(
            f"config.method is {shown(settings.method)}; it must be one of: {', '.join(METHODS)}"
        )
    method = METHODS[settings.method](settings)._replace(
        normalisation=resolve_normalisation(settings.data), flips=settings.score.flips == "all"
    )
    check_learning_rates(method)
    members = population(settings)
    hparams = population_hparams(settings, method, members)
    plan = scoring_plan(settings, method)
    check_score_name(settings, method, plan.score)
    return System(settings, method, members, hparams, plan)


def with_settings(system: System, settings: Settings) -> System:
    """The same system with other settings of scores."""
    return system._replace(settings=settings, scoring=scoring_plan(settings, system.method))


def scoring_plan(settings: Settings, method: Method) -> ScoringPlan:
    """How a method scores by `config.score`, with what the backend decides."""
    score, plan = settings.score, backend.plan()
    name = score.name or method.default_score
    default = plan.search_chunk if method.searches else plan.score_chunk
    chunk = (score.chunk or default) * jax.local_device_count()
    window = score.window if method.convolutional else 0
    alternate = score.flips == "alternate"
    alone = method.searches or jax.local_device_count() > 1  # takes all cores by itself
    at_once = 1 if alone else plan.calls_at_once
    data = settings.data
    tiling = MapTiling(
        data.patch_size, score.stride, chunk, window, alternate, at_once, data.pyramid
    )
    return ScoringPlan(method.aliases.get(name, name), chunk, tiling)


def check_learning_rates(method: Method) -> None:
    """Checks that every net that an update trains has a learning rate, and none is for no net.

    Raises:
      UserError: for one that has none, or a rate that nothing would read.
    """
    rates = {name.removeprefix("lr_") for name in method.hparams if name.startswith("lr_")}
    if unknown := sorted(rates - method.nets.keys()):
        raise UserError(
            f"config.lr.{shown(unknown[0])[1:-1]} is for no net of {method.name}, which has: "
            f"{', '.join(method.nets)}"
        )
    updates = [update for phase in method.phases for update in phase.updates]
    for name in sorted({name for update in updates for name in update.trains}):
        if f"lr_{name}" not in method.hparams:
            raise UserError(
                f"config.lr.{name} is missing: {method.name} trains the net {name}, and each has a "
                "learning rate of its own"
            )


def check_score_name(settings: Settings, method: Method, name: str) -> None:
    """Checks `config.score.name` before hours of training, by tracing the score.

    Raises:
      UserError: for a score that the method does not have.
    """
    size, channels = settings.data.patch_size, settings.data.channels
    like = jax.eval_shape(lambda: init_population(method, [0]))
    weights = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), like.ema)
    patch = jax.ShapeDtypeStruct((1, size, size, channels), jnp.uint8)
    key = jax.eval_shape(lambda: jax.random.key(0))
    scalars = {name: jax.ShapeDtypeStruct((), jnp.float32) for name in method.hparams}
    state: Any = ScoringState(weights, cast(Any, scalars), key)
    names = jax.eval_shape(make_scorer(method), state, patch).scores
    if name not in names:
        whose = "config.score.name" if settings.score.name else f"the default of {method.name}"
        known = ", ".join(sorted(names))
        raise UserError(f"{whose} is {shown(name)}; {method.name} has: {known}")


def check_stride(settings: Settings) -> None:
    """Checks that a map would have no gaps.

    Raises:
      UserError: for a stride larger than a patch.
    """
    stride, size = settings.score.stride, settings.data.patch_size
    if stride > size and not settings.score.window:
        raise UserError(
            f"config.score.stride is {stride}, which leaves pixels without a score; it must be at "
            f"most the patch size of {size}"
        )


def scoring_state(system: System, state: TrainState, number: int, first: int = 0) -> ScoringState:
    """One member of a population, as it scores.

    Args:
      system: of the population.
      state: of the population, or of a part of it.
      number: of the member in `state`.
      first: which member of the population is the first in `state`.
    """
    trained = member(state, number)
    scalars = {name: values[first + number] for name, values in system.hparams.items()}
    return ScoringState(test_weights(system, trained), scalars, stream(trained.key, Stream.SCORING))


def test_weights(system: System, state: TrainState) -> Weights:
    """The weights that score, by `config.score.weights`: averaged ones, or `raw`.

    Raw are those of the nets that the last phase trained. A net that it froze stays as that phase
    saw it, with its averaged weights: what was trained against them belongs to them.
    """
    if system.settings.score.weights == "ema":
        return state.ema
    method = system.method
    trained = {name for update in method.phases[-1].updates for name in update.trains}
    return overlay(state.weights, state.ema, method.nets.keys() - trained)
