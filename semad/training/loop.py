"""The training loop: programs over groups of members, and what happens between their calls."""

import logging
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from semad.config.schema import TrainSettings
from semad.data.normalisation import displayed, normalise
from semad.data.patches import crops, stack, tile_items
from semad.errors import TrainingDiverged, UserError
from semad.losses import sample_latent
from semad.run.checkpoints import Checkpoints
from semad.run.prepare import Run
from semad.run.state import init_population, member, merge, split
from semad.run.system import test_weights
from semad.run.workdir import NO_BEST
from semad.training.logs import Log
from semad.training.step import Terms, average, make_program, phase_step
from semad.training.validation import Best, Measure, by_reconstruction, reconstruction_spread
from semad.types import Hparams, Phase, TrainState
from semad.utils import backend
from semad.utils.eta import EtaWarning
from semad.utils.signals import stop_request

_log = logging.getLogger(__name__)

_PREVIEWS = 8  # patches per row of sample images


class Interrupted(UserError):
    """Somebody stopped the run; its state was saved."""

    exit_code = 130


class _Context(NamedTuple):
    """What the functions below share; nothing of it changes while training."""

    run: Run
    plan: backend.Plan
    hparams: list[Hparams]
    checkpoints: Checkpoints
    log: Log
    preview: Callable[[TrainState], dict[str, jax.Array]]
    best: Best | None
    spread: Callable[[TrainState], jax.Array] | None
    eta: EtaWarning
    stop: threading.Event


def train(
    run: Run,
    workdir: Path,
    plan: backend.Plan | None = None,
    measure: Measure | None = None,
) -> TrainState:
    """Trains all phases of all members from the newest checkpoint, or from the start.

    Args:
      run: of `semad.run.prepare`.
      workdir: takes checkpoints, log and TensorBoard files.
      plan: steps per dispatch and members together; by backend if None. It changes speed only.
      measure: of validation; None is by reconstruction, where the method reconstructs.

    Returns:
      The trained states, stacked over the members.

    Raises:
      UserError: when there would be no best checkpoint to evaluate.
      ValueError: when `config.train.validation` is not by reconstruction and there is no measure.
      TrainingDiverged: when a loss or a parameter is no longer finite.
      Interrupted: after SIGINT or SIGTERM, with the state saved.
    """
    plan = plan or backend.plan()
    settings, seeds = run.settings, run.system.seeds
    together = settings.population.together
    group_size = together or (len(seeds) if plan.members_together else 1)
    _, last_start, total = run.phases[-1]
    measure = measure or _default_measure(run)
    if not settings.train.validate_every:
        measure = None
    elif measure is None:
        _log.info(
            "no validation while training: %s makes no reconstructions without a search; "
            "--config.train.validation=synthetic validates by synthetic defects",
            run.method.name,
        )
    if settings.eval.checkpoint == "best" and not measure:
        raise UserError(NO_BEST)  # before hours of training
    with Checkpoints(workdir) as checkpoints, Checkpoints(workdir, "best", keep=1) as kept:
        # Placed as a restored state is, so that both run the same compiled programs.
        state = jax.device_put(init_population(run.method, seeds), jax.devices()[0])
        if checkpoints.latest() is not None:
            state = checkpoints.restore(jax.eval_shape(lambda: state))
        step = int(state.step[0])
        eta = EtaWarning("training", total, "the preset `small` is made for a CPU")
        with Log(workdir, step, total) as log, stop_request() as stop:
            shared = _Context(
                run,
                plan,
                split(run.system.hparams, group_size),
                checkpoints,
                log,
                _previewer(run),
                Best(measure, kept, last_start, group_size) if measure else None,
                reconstruction_spread(run) if run.method.reconstruct else None,
                eta,
                stop,
            )
            groups = split(state, group_size)
            for phase, start, end in run.phases:
                # Only states of the last phase can be the best.
                context = shared if end == total else shared._replace(best=None)
                groups = _train_phase(context, phase, start, end, groups)
            state = merge(groups)
            checkpoints.save(state)
            log.animate()
    return state


def _default_measure(run: Run) -> Measure | None:
    if run.settings.train.validation != "reconstruction":
        raise ValueError("config.train.validation asks for a measure; see semad.selection")
    return by_reconstruction(run) if run.method.reconstruct else None


def _train_phase(
    context: _Context, phase: Phase, start: int, end: int, groups: list[TrainState]
) -> list[TrainState]:
    """All steps of a phase that are still to do."""
    run, train, stop = context.run, context.run.settings.train, context.stop
    members = len(run.system.members)
    step_function = phase_step(run.method, phase, start, run.sampling, average(train))
    program = cache(lambda steps: make_program(step_function, steps))
    step = int(groups[0].step[0])
    window: list[list[Terms]] = []
    window_start, clock = step, time.perf_counter()
    while step < end:
        steps = min(context.plan.steps_per_dispatch, _next_event(train, step, end) - step)
        results = [
            program(steps)(state, run.train, hparams)
            for state, hparams in zip(groups, context.hparams, strict=True)
        ]
        groups = [state for state, _ in results]
        window.append([terms for _, terms in results])
        step += steps
        context.log.advance(steps)
        if context.eta.due():
            jax.block_until_ready(groups)
            context.eta.tick(step)
        if step < _next_event(train, step - 1, end) and not stop.is_set():
            continue
        terms = _gather(window)
        _check_finite(context, terms, window_start, groups)
        seconds = time.perf_counter() - clock
        images = (step - window_start) * train.batch_size * members

        def due(period: int, step: int = step) -> bool:
            return step % period == 0 or step == end

        means = {name: values.mean(axis=0) for name, values in terms.items()}
        if context.best and due(train.validate_every):
            means[f"validation/{train.validation}"] = context.best.update(groups, step)
        if context.spread and due(train.image_every):
            spreads = [context.spread(state) for state in groups]
            means["reconstructions/spread"] = np.concatenate(spreads)
        epoch = (step - start) // run.steps_per_epoch
        context.log.scalars(phase.name, step, epoch, means, images, seconds)
        if due(train.image_every):
            context.log.images(step, context.preview(groups[0]))
        if due(train.checkpoint_every) or stop.is_set():
            context.checkpoints.save(merge(groups))
        if stop.is_set():
            raise Interrupted(f"stopped at step {step}, saved; the same command goes on from there")
        window, window_start, clock = [], step, time.perf_counter()
    return groups


def _next_event(train: TrainSettings, step: int, end: int) -> int:
    """The next step behind `step` at which something is to be written."""
    periods = [train.log_every, train.image_every, train.checkpoint_every]
    periods += [train.validate_every] if train.validate_every else []
    return min(end, *((step // period + 1) * period for period in periods))


def _gather(window: list[list[Terms]]) -> dict[str, np.ndarray]:
    """Loss terms since the last event: name -> (steps, members)."""
    host = jax.device_get(window)
    return {
        name: np.concatenate(
            [np.concatenate([terms[name] for terms in groups], axis=1) for groups in host]
        )
        for name in host[0][0]
    }


@jax.jit
def _finite(tree: dict) -> jax.Array:
    return jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]))


def _check_finite(
    context: _Context, terms: dict[str, np.ndarray], start: int, groups: list[TrainState]
) -> None:
    """Raises TrainingDiverged for the earliest loss, or else any net, that is not finite."""
    saved = context.checkpoints.latest()
    kept = (
        "no checkpoint was saved yet"
        if saved is None
        else f"the checkpoint of step {saved} is kept"
    )
    advice = f"{kept}; try lower learning rates (--config.lr.<net>) in a new --workdir"
    broken = [
        (int(np.argmax(~np.isfinite(values).all(axis=1))), name)
        for name, values in terms.items()
        if not np.isfinite(values).all()
    ]
    if broken:
        row, name = min(broken)
        value = terms[name][row][~np.isfinite(terms[name][row])][0]
        raise TrainingDiverged(f"the loss {name} is {value} at step {start + row + 1}; {advice}")
    for state in groups:
        for name, params in state.weights.params.items():
            if not _finite(params):
                step = int(state.step[0])
                raise TrainingDiverged(
                    f"the parameters of {name} are not finite after step {step}; {advice}"
                )


def _previewer(run: Run) -> Callable[[TrainState], dict[str, jax.Array]]:
    """Sample images of a group's first member, on held-out patches that are always the same."""
    size = run.sampling.patch_size
    items = tile_items(run.holdout.images, size, size)
    chosen = items[np.linspace(0, len(items) - 1, _PREVIEWS, dtype=int)]
    how = run.method.normalisation
    images = normalise(crops(stack(run.holdout.images), chosen, size), how)
    z = sample_latent(jax.random.key(0), _PREVIEWS, run.method.latent_dim)

    @jax.jit
    def preview(group: TrainState) -> dict[str, jax.Array]:
        weights = test_weights(run.system, member(group, 0))
        nets = run.method.bind(weights)
        pictures = {"inputs": images}
        if run.method.sample:
            pictures["samples"] = run.method.sample(nets, z)
        if run.method.reconstruct:
            pictures["reconstructions"] = run.method.reconstruct(nets, images)
        return {name: displayed(picture, how) for name, picture in pictures.items()}

    return preview
