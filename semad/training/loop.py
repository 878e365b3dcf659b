"""Training: from the newest checkpoint, or from the start, through all phases."""

import logging
from pathlib import Path

import jax

from semad.errors import Interrupted, UserError
from semad.run.checkpoints import Checkpoints
from semad.run.history import clear_divergence
from semad.run.prepare import Run
from semad.run.state import init_population, merge, split, with_pretrained
from semad.run.workdir import BEST, NO_BEST
from semad.training.logs import Log, animate
from semad.training.phase import Context, PhaseTraining
from semad.training.placement import group_of, placement
from semad.training.preview import previewer
from semad.training.saving import Timer, check_can_go_on
from semad.training.validation import Best, Measure, by_reconstruction, spreads
from semad.types import TrainState
from semad.utils import backend, collective
from semad.utils.collective import Vote
from semad.utils.eta import EtaWarning
from semad.utils.signals import stop_request

_log = logging.getLogger(__name__)


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
    measure = _measure_of(run, measure)
    check_can_go_on(workdir)
    with Checkpoints(workdir) as checkpoints, Checkpoints(workdir, BEST, keep=1) as kept:
        state = _first_state(run, checkpoints)
        if int(state.step[0]) >= run.total_steps:
            animate(workdir, replace=False)
            return state
        return _train_from(state, run, workdir, plan, measure, checkpoints, kept)


def _train_from(
    state: TrainState,
    run: Run,
    workdir: Path,
    plan: backend.Plan,
    measure: Measure | None,
    checkpoints: Checkpoints,
    kept: Checkpoints,
) -> TrainState:
    """All phases that are still to do; `kept` takes the best states."""
    train, members = run.settings.train, len(run.system.members)
    _, last_start, total = run.phases[-1]
    together = run.settings.population.together
    group_size = min(together or group_of(plan, run.settings.model.width, members), members)
    alike = members % group_size == 0  # groups
    placed = placement(plan, run.method, group_size if alike else 1, train.batch_size)
    with Log(workdir, int(state.step[0]), total) as log, stop_request() as stop:
        shared = Context(
            run=run,
            workdir=workdir,
            plan=plan,
            hparams=[placed.put(group) for group in split(run.system.hparams, group_size)],
            placement=placed,
            checkpoints=checkpoints,
            log=log,
            preview=previewer(run),
            best=Best(measure, kept, last_start, group_size) if measure else None,
            spreads=spreads(run),
            eta=EtaWarning("training", total, "the preset `small` is made for a CPU"),
            stop=stop,
            timer=Timer(train.checkpoint_minutes),
            vote=Vote(),
        )
        groups = [placed.put(group) for group in split(state, group_size)]
        for phase, start, end in run.phases:
            # Only states of the last phase can be the best.
            context = shared if end == total else shared._replace(best=None)
            groups = PhaseTraining(context, phase, start, end, groups).finish()
        state = collective.local(merge(groups))
        checkpoints.save(state)
        clear_divergence(workdir)
        animate(workdir)
        if collective.agree(stop.is_set()):  # before what comes after training
            raise Interrupted(f"stopped at step {total}, the last; the same command goes on")
    return state


def _first_state(run: Run, checkpoints: Checkpoints) -> TrainState:
    """The newest state that was saved, or the initial one, which is saved then."""
    # Placed as a restored state is, so that both run the same compiled programs.
    fresh = with_pretrained(init_population(run.method, run.system.seeds), run.pretrained)
    state = jax.device_put(fresh, jax.local_devices()[0])
    if checkpoints.latest() is not None:
        return checkpoints.restore(jax.eval_shape(lambda: state))
    checkpoints.save(state)  # so that a log without a checkpoint is one that was lost
    return state


def _measure_of(run: Run, measure: Measure | None) -> Measure | None:
    """What validates; None for nothing.

    Raises:
      UserError: when there would be no best checkpoint to evaluate.
      ValueError: when `config.train.validation` is not by reconstruction and there is no measure.
    """
    train = run.settings.train
    if not measure and train.validation != "reconstruction":
        raise ValueError("config.train.validation asks for a measure; see semad.selection")
    if not measure and run.method.reconstruct:
        measure = by_reconstruction(run)
    if not train.validate_every:
        measure = None
    elif measure is None:
        _log.info(
            "no validation while training: %s makes no reconstructions without a search; "
            "--config.train.validation=synthetic validates by synthetic defects",
            run.method.name,
        )
    if run.settings.eval.checkpoint == "best" and not measure:
        raise UserError(NO_BEST)  # before hours of training
    return measure
