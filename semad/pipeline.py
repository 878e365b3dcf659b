"""From a config to a trained and evaluated workdir: what `main.py`, sweeps and Python call."""

import logging
from functools import partial
from pathlib import Path
from typing import Any

import ml_collections

from semad.config import files
from semad.config.settings import flatten, resolve
from semad.data import sources
from semad.evaluation import evaluate as evaluation
from semad.reports.run import write_report
from semad.run import history
from semad.run import workdir as workdirs
from semad.run.prepare import Run, prepare
from semad.run.state import read_pretrained
from semad.run.system import System, build
from semad.selection.measures import validation_measure
from semad.selection.select import apply_selection
from semad.training import loop
from semad.training.saving import check_can_go_on
from semad.types import TrainState
from semad.utils import collective, hosts
from semad.utils.backend import in_float32
from semad.utils.locks import folder_lock
from semad.utils.versions import checksum, versions

_log = logging.getLogger(__name__)


@in_float32
def train_and_evaluate(
    config: ml_collections.ConfigDict, workdir: str | Path, ledger: Path | None = None
) -> dict[str, Any]:
    """Trains a run in its workdir, or goes on with it, and evaluates it.

    Args:
      config: such as `semad.configs.bigan.get_config("small")`.
      workdir: of the run; made if it does not exist.
      ledger: takes a line about an evaluation of NanoTWICE; see `semad.evaluation.ledger`.

    Returns:
      What `evaluation/<protocol>/metrics.json` holds.

    Raises:
      UserError: for everything a user can cause.
    """
    workdir = Path(workdir)
    with folder_lock(workdir, "train and evaluate"):
        run = prepare_in(workdir, config)
        evaluation.check(run)  # before hours of training
        return evaluate(run, train(run, workdir), workdir, ledger=ledger)


@in_float32
def prepare_in(workdir: Path, config: ml_collections.ConfigDict, trains: bool = True) -> Run:
    """The run of a config, checked against what the workdir holds.

    Args:
      workdir: of the run; it need not exist.
      config: of the run.
      trains: whether it is to be trained on, and not evaluated alone.

    Raises:
      UserError: for a bad config or data, or a workdir of another run.
    """
    system = build(config)
    workdirs.check_records(workdir)
    workdirs.check_same_run(workdir, system.settings, system.method, trains)
    data = system.settings.data
    depth = data.bit_depth or (0 if trains else workdirs.load_bit_depth(workdir))
    source = sources.load(data.replace(bit_depth=depth))
    if trains or source.train:
        run = prepare(system, source)
        workdirs.check_same_data(workdir, run.source.train)
    else:
        run = prepare(system, source, workdirs.load_normal(workdir))
    for caution in run.source.cautions:
        _log.warning("%s", caution)
    if trains and any(phase.annotated for phase in run.method.phases):
        run = run._replace(annotated=workdirs.load_annotated(workdir))
    if hosts.count() > 1:
        _check_same(run)
    return run


def _check_same(run: Run) -> None:
    """Checks that all processes have this run, before any of them writes.

    Raises:
      UserError: when another has other settings, images or packages.
    """
    settings = {f"config.{key}": value for key, value in flatten(run.settings).items()}
    del settings["config.eval.purpose"], settings["config.data.dir"]
    data = {
        "training images of SHA-256": checksum(run.source.train),
        "test data of SHA-256": evaluation.checksum_of_test_data(run.source),
    }
    collective.check_same(settings | data | versions())


@in_float32
def train(run: Run, workdir: Path) -> TrainState:
    """Trains a run from its newest checkpoint, or from the start.

    After a divergence it goes on from the newest checkpoint, with other rates and weights of losses
    if `run` has such: config.json takes them, and `history.jsonl` a line about them.

    Args:
      run: of `semad.run.prepare`.
      workdir: takes config, versions, normal images, checkpoints and logs.

    Returns:
      The state that is evaluated: the newest, or the best (`config.eval.checkpoint`).

    Raises:
      UserError: when the workdir holds another run, or is in use by another process; see also
        `semad.training.loop.train`.
    """
    with folder_lock(workdir, "train"):
        workdirs.check_same_run(workdir, run.settings, run.method, trains=True)
        workdirs.check_same_data(workdir, run.source.train)
        check_can_go_on(workdir)
        if workdirs.newest_step(workdir) is None:
            run = _with_pretrained(run)
        collective.by_first(partial(_record, run, workdir))
        state = loop.train(run, workdir, measure=validation_measure(run))
        if run.settings.eval.checkpoint == "best":
            state = workdirs.restore(workdir, run.system)
    _log.info("trained to step %d; checkpoints, log and TensorBoard in %s", state.step[0], workdir)
    return state


def _with_pretrained(run: Run) -> Run:
    """A run that starts, with what its nets were trained to elsewhere.

    Raises:
      UserError: for weights that cannot be read, or where processes have read others.
    """
    pretrained = read_pretrained(run.method)
    sums = workdirs.pretrained_checksums(pretrained)
    collective.check_same({f"weights of {name} of SHA-256": value for name, value in sums.items()})
    return run._replace(pretrained=pretrained)


def _record(run: Run, workdir: Path) -> None:
    """Writes what a workdir holds of a run beside its training."""
    newest = workdirs.newest_step(workdir)
    changed = history.changes(workdir, run.settings)
    if changed:
        history.note_changes(workdir, newest or 0, changed)
        workdirs.remove_best_after(workdir, newest or 0)
    workdirs.store(workdir, run, trains=newest != run.total_steps)
    if changed:
        history.clear_divergence(workdir)


@in_float32
def evaluate(
    run: Run,
    state: TrainState,
    workdir: Path,
    output: Path | None = None,
    ledger: Path | None = None,
) -> dict[str, Any]:
    """Evaluates a state and writes the results and the report; see `semad.evaluation.evaluate`.

    Raises:
      UserError: see there; or when another process writes to the folder.
    """
    with folder_lock(output or workdir, "evaluate"):
        result = evaluation.evaluate(run, state, workdir, output, ledger)
        folder = (output or workdir) / "evaluation" / result["protocol"]
        selection = result["selection"]
        settings = apply_selection(run.settings, selection) if selection else run.settings
        if hosts.writes():
            write_report(workdir, settings, result, folder, output)
    return result


@in_float32
def stored_system(workdir: Path, config: ml_collections.ConfigDict | None = None) -> System:
    """The system of a trained workdir.

    Args:
      workdir: of the run.
      config: the run's config with other values of what may change; None for its own.

    Raises:
      UserError: when there is no run, or the config makes another one.
    """
    stored = files.load(workdir)
    workdirs.check_records(workdir)
    system = build(stored if config is None else resolve(config))
    if config is not None:
        workdirs.check_same_run(workdir, system.settings, system.method)
    return system
