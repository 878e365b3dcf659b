"""Equal budgets for different systems: as many steps, as much time, or as many parameters.

Steps and time are shared among a system's phases as its config shares its epochs, in whole epochs,
at least one each; what came of it is in the results. Time is what one member's steps take here and
now, measured before. Parameters are those of all networks, reached by `config.model.width`.
"""

import math
import time

import jax
import ml_collections

from semad.config.settings import flatten, resolve
from semad.errors import UserError
from semad.methods import METHODS
from semad.run.prepare import Run, prepare
from semad.run.state import init_population, init_state, parameter_count
from semad.training.placement import placement
from semad.training.step import average, make_orders, make_program, phase_step
from semad.utils import backend

KINDS = ("steps", "seconds", "parameters")
_TIMED, _WARM = 8, 2  # dispatches
_WIDTHS = (1 / 64, 16.0)


def fit(config: ml_collections.ConfigDict, budget: dict[str, float]) -> ml_collections.ConfigDict:
    """A copy of the config that keeps to a budget, as nearly as whole epochs allow.

    Args:
      config: of one system.
      budget: of `KINDS`, not both steps and seconds; empty leaves the config as it is.

    Raises:
      UserError: for a budget that cannot be kept.
    """
    if "steps" in budget and "seconds" in budget:
        raise UserError("a budget is of steps or of seconds, not of both")
    if not all(0 < value < math.inf for value in budget.values()):
        raise UserError(f"a budget must be above 0: {budget}")
    fitted = config.copy_and_resolve_references()
    if "parameters" in budget:
        fitted.model.width = _width(fitted, budget["parameters"])
    if not budget.keys() & {"steps", "seconds"}:
        return fitted
    run = prepare(fitted)
    shares = [phase.epochs for phase in run.method.phases]
    costs = _seconds_per_step(run) if "seconds" in budget else [1.0] * len(shares)
    amount = budget.get("seconds", budget.get("steps", 0))
    if not any(shares):
        raise UserError(f"{config.method} has no epochs to share a budget by")
    unit = sum(share * cost for share, cost in zip(shares, costs, strict=True))
    unit *= run.steps_per_epoch
    for phase, share in zip(run.method.phases, shares, strict=True):
        section, name = phase.epochs_key.split(".")
        fitted[section][name] = max(1, round(share * amount / unit)) if share else 0
    return fitted


def fitted_overrides(config: ml_collections.ConfigDict) -> list[str]:
    """What `fit` sets, as overrides."""
    settings = resolve(config)
    keys = [phase.epochs_key for phase in METHODS[settings.method](settings).phases]
    values = flatten(settings)
    return [f"{key}={values[key]}" for key in ("model.width", *keys)]


def parameters(config: ml_collections.ConfigDict) -> int:
    """Of all networks of a system that it trains."""
    settings = resolve(config)
    method = METHODS[settings.method](settings)
    params = jax.eval_shape(lambda: init_state(method, 0)).weights.params
    return parameter_count(
        {name: params[name] for name, net in method.nets.items() if not net.read_pretrained}
    )


def _width(config: ml_collections.ConfigDict, wanted: float) -> float:
    """The width with the number of parameters nearest to the wanted one, by bisection."""
    low, high = _WIDTHS
    trial = config.copy_and_resolve_references()

    def count(width: float) -> int:
        trial.model.width = width
        return parameters(trial)

    if not count(low) <= wanted <= count(high):
        raise UserError(
            f"{config.method} cannot have {wanted:,.0f} parameters; at widths from {low:g} to "
            f"{high:g} it has {count(low):,} to {count(high):,}"
        )
    for _ in range(12):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if count(middle) < wanted else (low, middle)
    return min((low, high), key=lambda width: abs(count(width) - wanted))


def _seconds_per_step(run: Run) -> list[float]:
    """Of each phase, for one member, compilation aside."""
    seconds = []
    train, steps = run.settings.train, backend.plan().steps_per_dispatch
    placed = placement(backend.plan(), run.method, 1, train.batch_size)
    scalars = placed.put(jax.tree.map(lambda values: values[:1], run.system.hparams))
    images, count = placed.put_images(run.train), run.train.pixels.shape[0]
    for phase, start, _ in run.phases:
        averaged = average(train)
        step = phase_step(run.method, phase, start, run.sampling, averaged, placed.share)
        program = make_program(step, steps, placed.state, placed.images)
        state = placed.put(init_population(run.method, [run.settings.seed]))
        total = (_WARM + _TIMED) * steps
        draw = make_orders(phase, start, run.sampling, count, total, placed.state)
        orders = draw(state)
        begin = time.perf_counter()
        for number in range(_WARM + _TIMED):
            if number == _WARM:
                jax.block_until_ready(state)
                begin = time.perf_counter()
            state, _ = program(state, images, scalars, orders)
        jax.block_until_ready(state)
        seconds.append((time.perf_counter() - begin) / _TIMED / steps)
    return seconds
