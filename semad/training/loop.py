"""The training loop: programs over groups of members, and what happens between their calls."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from semad.config.schema import TrainSettings
from semad.errors import Interrupted, TrainingDiverged, UserError
from semad.run.checkpoints import Checkpoints
from semad.run.history import clear_divergence, mark_diverged
from semad.run.prepare import Run
from semad.run.state import init_population, merge, split
from semad.run.workdir import BEST, NO_BEST
from semad.training.finite import first_fault, gather
from semad.training.health import Alarm
from semad.training.logs import Log, animate, read_log
from semad.training.placement import Placement, placement
from semad.training.preview import previewer
from semad.training.saving import Timer, check_can_go_on, is_whole, rescue
from semad.training.step import Terms, average, make_program, phase_step
from semad.training.validation import Best, Measure, by_reconstruction, spreads
from semad.types import Hparams, Phase, TrainState
from semad.utils import backend, collective, hosts
from semad.utils.collective import Vote
from semad.utils.eta import EtaWarning
from semad.utils.signals import stop_request

_log = logging.getLogger(__name__)


class _Context(NamedTuple):
    """What the functions below share; nothing of it changes while training."""

    run: Run
    workdir: Path
    plan: backend.Plan
    hparams: list[Hparams]
    placement: Placement
    checkpoints: Checkpoints
    log: Log
    preview: Callable[[TrainState], dict[str, jax.Array]]
    best: Best | None
    spreads: Callable[[TrainState], dict[str, jax.Array]] | None
    eta: EtaWarning
    stop: threading.Event
    timer: Timer
    vote: Vote


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
      UserError: when there would be no best checkpoint to evaluate, or the workdir was trained in
        and no sound checkpoint is left.
      ValueError: when `config.train.validation` is not by reconstruction and there is no measure.
      TrainingDiverged: when a loss or a parameter is no longer finite.
      Interrupted: after SIGINT, SIGTERM or SIGHUP, with the state saved. After any other error it
        is saved too, if it is finite.
    """
    plan = plan or backend.plan()
    settings, seeds = run.settings, run.system.seeds
    together = settings.population.together
    group_size = min(together or (len(seeds) if plan.members_together else 1), len(seeds))
    alike = len(seeds) % group_size == 0  # groups
    placed = placement(plan, group_size if alike else 1, settings.train.batch_size)
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
    check_can_go_on(workdir)
    with Checkpoints(workdir) as checkpoints, Checkpoints(workdir, BEST, keep=1) as kept:
        # Placed as a restored state is, so that both run the same compiled programs.
        state = jax.device_put(init_population(run.method, seeds), jax.local_devices()[0])
        if checkpoints.latest() is None:
            checkpoints.save(state)  # so that a log without a checkpoint is one that was lost
        else:
            state = checkpoints.restore(jax.eval_shape(lambda: state))
        step = int(state.step[0])
        if step >= total:
            animate(workdir, replace=False)
            return state
        eta = EtaWarning("training", total, "the preset `small` is made for a CPU")
        with Log(workdir, step, total) as log, stop_request() as stop:
            shared = _Context(
                run,
                workdir,
                plan,
                [placed.put(group) for group in split(run.system.hparams, group_size)],
                placed,
                checkpoints,
                log,
                previewer(run),
                Best(measure, kept, last_start, group_size) if measure else None,
                spreads(run),
                eta,
                stop,
                Timer(settings.train.checkpoint_minutes),
                Vote(),
            )
            groups = [placed.put(group) for group in split(state, group_size)]
            for phase, start, end in run.phases:
                # Only states of the last phase can be the best.
                context = shared if end == total else shared._replace(best=None)
                groups = _train_phase(context, phase, start, end, groups)
            state = collective.local(merge(groups))
            checkpoints.save(state)
            clear_divergence(workdir)
            animate(workdir)
            if collective.agree(stop.is_set()):  # before what comes after training
                raise Interrupted(f"stopped at step {total}, the last; the same command goes on")
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
    place = context.placement
    images = place.put_images(run.train)
    step_function = phase_step(
        *(run.method, phase, start, run.sampling, average(train), place.share, run.annotated)
    )
    program = cache(lambda steps: make_program(step_function, steps, place.state, place.images))
    step = int(groups[0].step[0])
    lines, validation = read_log(context.workdir), f"validation/{train.validation}"
    alarm = Alarm(phase.name, (start, end), end == run.total_steps, lines)
    compiled: set[int] = set()
    window: list[list[Terms]] = []
    window_start, clock = step, time.perf_counter()

    def due(period: int) -> bool:
        return step % period == 0 or step == end

    def log(means: dict[str, np.ndarray]) -> None:
        nonlocal window, window_start
        seconds = time.perf_counter() - clock
        images = (step - window_start) * train.batch_size * members
        epoch = (step - start) // run.steps_per_epoch
        context.log.scalars(phase.name, step, epoch, means, images, seconds)
        window, window_start = [], step

    def finite_means() -> dict[str, np.ndarray]:
        terms = gather(window)
        _check_finite(context, terms, window_start, groups)
        return {name: values.mean(axis=0) for name, values in terms.items()}

    def record(validates: bool = True) -> dict[str, np.ndarray]:
        means = finite_means()
        if validates and context.best and due(train.validate_every):
            means[validation] = context.best.update(collective.local(groups), step)
        if validates and context.spreads and due(train.image_every):
            parts = [context.spreads(state) for state in collective.local(groups)]
            means |= {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        log(means)
        return means

    validated = any(line["step"] == step and validation in line for line in lines[-1:])
    validated = collective.from_first(validated)
    if context.best and start < step < end and due(train.validate_every) and not validated:
        context.best.update(collective.local(groups), step)  # an error had cut it off
    try:
        while step < end:
            steps = min(context.plan.steps_per_dispatch, _next_event(train, step, end) - step)
            with nullcontext() if steps in compiled else context.log.compiling():
                results = [
                    program(steps)(state, images, hparams)
                    for state, hparams in zip(groups, context.hparams, strict=True)
                ]
            compiled.add(steps)
            groups = [state for state, _ in results]
            # Calls return before they have run. One may wait while another runs; were there more,
            # the bar would race ahead and stand still at the next line of the log.
            if window:
                jax.block_until_ready(window[-1])
            window.append([terms for _, terms in results])
            step += steps
            context.log.advance(steps)
            if context.eta.due():
                jax.block_until_ready(groups)
                context.eta.tick(step)
            stops, late = context.vote(stop.is_set(), context.timer.due())
            if step < _next_event(train, step - 1, end) and not (stops or late):
                continue
            means = record()
            alarm.update(step, means)
            if due(train.image_every):
                context.log.images(step, context.preview(collective.local(groups[0])))
            if due(train.checkpoint_every) or stops or late:
                context.checkpoints.save(merge(groups))
                context.timer.restart()
            if stops:
                raise Interrupted(
                    f"stopped at step {step}, saved; the same command goes on from there"
                )
            clock = time.perf_counter()
    except (TrainingDiverged, Interrupted):
        raise
    except BaseException as error:
        # At the very end nothing would make up for a validation that was cut off. Other processes,
        # without which nothing can be saved, may know nothing of the error.
        if is_whole(groups) and step < run.total_steps and hosts.count() == 1:
            with suppress(TrainingDiverged):
                for validates in (True, False) if isinstance(error, Exception) else (False,):
                    if window:
                        finite_means()  # what is not finite is not saved
                        with suppress(Exception):
                            record(validates)
                rescue(context.checkpoints, groups)
        raise
    return groups


def _check_finite(
    context: _Context, terms: dict[str, np.ndarray], start: int, groups: list[TrainState]
) -> None:
    """Raises TrainingDiverged for the earliest loss, or else any net, that is not finite."""
    fault = first_fault(terms, start, groups)
    if fault is None:
        return
    step, what = fault
    error = TrainingDiverged(
        f"{what}; the checkpoint of step {context.checkpoints.latest()} is kept, and the same "
        "command with lower rates (--config.lr.<net>) or weights of losses (--config.loss.<term>) "
        "goes on from it"
    )
    mark_diverged(context.workdir, step, error)
    raise error


def _next_event(train: TrainSettings, step: int, end: int) -> int:
    """The next step behind `step` at which something is to be written."""
    periods = [train.log_every, train.image_every, train.checkpoint_every]
    periods += [train.validate_every] if train.validate_every else []
    return min(end, *((step // period + 1) * period for period in periods))
