"""One phase of training: calls of the compiled program, and what happens between them."""

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
from semad.data.patches import Orders
from semad.errors import Interrupted, TrainingDiverged
from semad.run.checkpoints import Checkpoints
from semad.run.history import mark_diverged
from semad.run.prepare import Run
from semad.run.state import merge
from semad.training.finite import first_fault, gather
from semad.training.health import Alarm
from semad.training.logs import Log, read_log
from semad.training.placement import Placement
from semad.training.saving import Timer, is_whole, rescue
from semad.training.step import (
    Terms,
    average,
    make_orders,
    make_program,
    phase_step,
)
from semad.training.validation import Best
from semad.types import Hparams, Phase, TrainState
from semad.utils import backend, collective, hosts
from semad.utils.collective import Vote
from semad.utils.eta import EtaWarning


class Context(NamedTuple):
    """What all phases of a run share; nothing of it changes while training.

    Attributes:
      run, workdir, plan: of `semad.training.loop.train`.
      hparams: of every group.
      placement: of every group.
      checkpoints, log: of the workdir.
      preview: images of a group for the log.
      best: keeps the best states; None without validation, or where they do not count.
      spreads: figures of a group for `semad.training.health`; None for a system without.
      eta: warns of long training.
      stop: set by a signal.
      timer: of checkpoints by the clock.
      vote: has all processes agree.
    """

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


class PhaseTraining:
    """The steps of a phase that are still to do."""

    def __init__(
        self, context: Context, phase: Phase, start: int, end: int, groups: list[TrainState]
    ) -> None:
        """Goes on from `groups`, the members placed; the phase has the steps `start` to `end`."""
        run, place, self._train = context.run, context.placement, context.run.settings.train
        self._context, self._phase = context, phase
        self._start, self._end = start, end
        self._groups = groups
        self._step = int(groups[0].step[0])
        self._images = place.put_images(run.train)
        function = phase_step(
            run.method,
            phase,
            start,
            run.sampling,
            average(self._train),
            place.share,
            run.annotated,
            self._train.cooldown,
        )
        self._program = cache(
            lambda steps: make_program(function, steps, place.state, place.images)
        )
        image_count, most = run.train.pixels.shape[0], context.plan.steps_per_dispatch
        self._draw = make_orders(phase, start, run.sampling, image_count, most, place.state)
        # Of every group, from an epoch on.
        self._orders: list[Orders] = []
        self._drawn_from = -1
        self._compiled: set[int] = set()
        self._validation = f"validation/{self._train.validation}"
        self._lines = read_log(context.workdir)
        self._alarm = Alarm(phase.name, (start, end), end == run.total_steps, self._lines)
        # Terms of the dispatches since the last line of the log.
        self._window: list[list[Terms]] = []
        self._window_start, self._clock = self._step, time.perf_counter()

    def finish(self) -> list[TrainState]:
        """Trains to the end of the phase, and returns the groups.

        Raises:
          TrainingDiverged: when a loss or a parameter is no longer finite.
          Interrupted: after a signal, with the state saved. After any other error it is saved too,
            if it is finite.
        """
        context = self._context
        self._make_up_for_a_validation()
        try:
            while self._step < self._end:
                self._dispatch()
                stops, late = context.vote(context.stop.is_set(), context.timer.due())
                event = _next_event(self._train, self._step - 1, self._end)
                if stops or late or self._step == event:
                    self._pause(save=stops or late)
                if stops:
                    raise Interrupted(
                        f"stopped at step {self._step}, saved; the same command goes on from there"
                    )
        except (TrainingDiverged, Interrupted):
            raise
        except BaseException as error:
            self._save_after(error)
            raise
        return self._groups

    def _dispatch(self) -> None:
        """The steps up to the next event, or as many as one program has."""
        context, step = self._context, self._step
        following = _next_event(self._train, step, self._end)
        steps = min(context.plan.steps_per_dispatch, following - step)
        with nullcontext() if steps in self._compiled else context.log.compiling():
            orders = self._orders_of_epoch()
            results = [
                self._program(steps)(state, self._images, hparams, order)
                for state, hparams, order in zip(self._groups, context.hparams, orders, strict=True)
            ]
        self._compiled.add(steps)
        self._groups = [state for state, _ in results]
        # Calls return before they have run. One may wait while another runs; were there more,
        # the bar would race ahead and stand still at the next line of the log.
        if self._window:
            jax.block_until_ready(self._window[-1])
        self._window.append([terms for _, terms in results])
        self._step += steps
        context.log.advance(steps)
        if context.eta.due():
            jax.block_until_ready(self._groups)
            context.eta.tick(self._step)

    def _orders_of_epoch(self) -> list[Orders]:
        """Of the crops of the next dispatch, for every group; drawn once an epoch."""
        batches = (self._step - self._start) * self._phase.batches_per_step
        epoch = batches // self._context.run.steps_per_epoch
        if epoch != self._drawn_from:
            self._orders = [self._draw(state) for state in self._groups]
            self._drawn_from = epoch
        return self._orders

    def _pause(self, save: bool) -> None:
        """Writes what is due at this step, and a checkpoint if it is to be saved."""
        context = self._context
        self._alarm.update(self._step, self._record())
        if self._due(self._train.image_every):
            images = context.preview(collective.local(self._groups[0]))
            context.log.images(self._step, images)
        if save or self._due(self._train.checkpoint_every):
            context.checkpoints.save(merge(self._groups))
            context.timer.restart()
        self._clock = time.perf_counter()

    def _record(self, validates: bool = True) -> dict[str, np.ndarray]:
        """Means of the terms since the last line, and what is validated, as a line of the log."""
        means, context = self._finite_means(), self._context
        if validates and context.best and self._due(self._train.validate_every):
            groups = collective.local(self._groups)
            means[self._validation] = context.best.update(groups, self._step)
        if validates and context.spreads and self._due(self._train.image_every):
            parts = [context.spreads(state) for state in collective.local(self._groups)]
            means |= {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        seconds = time.perf_counter() - self._clock
        run, steps = context.run, self._step - self._window_start
        images = steps * self._train.batch_size * len(run.system.members)
        epoch = (self._step - self._start) // run.steps_per_epoch
        context.log.scalars(self._phase.name, self._step, epoch, means, images, seconds)
        self._window, self._window_start = [], self._step
        return means

    def _finite_means(self) -> dict[str, np.ndarray]:
        """Means over the window, (members,) each.

        Raises:
          TrainingDiverged: for the earliest loss, or else any net, that is not finite.
        """
        terms = gather(self._window)
        fault = first_fault(terms, self._window_start, self._groups)
        if fault is None:
            return {name: values.mean(axis=0) for name, values in terms.items()}
        step, what = fault
        error = TrainingDiverged(
            f"{what}; the checkpoint of step {self._context.checkpoints.latest()} is kept, and the "
            "same command with lower rates (--config.lr.<net>) or weights of losses "
            "(--config.loss.<term>) goes on from it"
        )
        mark_diverged(self._context.workdir, step, error)
        raise error

    def _make_up_for_a_validation(self) -> None:
        """Validates the step to start from where an error had cut that off."""
        step, best, last = self._step, self._context.best, self._lines[-1:]
        validated = any(line["step"] == step and self._validation in line for line in last)
        validated = collective.from_first(validated)
        begun = self._start < step < self._end
        if best and begun and self._due(self._train.validate_every) and not validated:
            best.update(collective.local(self._groups), step)

    def _save_after(self, error: BaseException) -> None:
        """Saves the state when an error ends training, if it is whole and finite."""
        # At the very end nothing would make up for a validation that was cut off. Other processes,
        # without which nothing can be saved, may know nothing of the error.
        over = self._step >= self._context.run.total_steps
        if over or hosts.count() > 1 or not is_whole(self._groups):
            return
        with suppress(TrainingDiverged):
            for validates in (True, False) if isinstance(error, Exception) else (False,):
                if self._window:
                    self._finite_means()  # what is not finite is not saved
                    with suppress(Exception):
                        self._record(validates)
            rescue(self._context.checkpoints, self._groups)

    def _due(self, period: int) -> bool:
        return self._step % period == 0 or self._step == self._end


def _next_event(train: TrainSettings, step: int, end: int) -> int:
    """The next step behind `step` at which something is to be written."""
    periods = [train.log_every, train.image_every, train.checkpoint_every]
    periods += [train.validate_every] if train.validate_every else []
    return min(end, *((step // period + 1) * period for period in periods))
