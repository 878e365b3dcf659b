"""Runs that belong together (ablation, comparison, sweep): each is done once, and resumable."""

import json
import logging
from pathlib import Path
from typing import Any

import ml_collections

from semad import pipeline
from semad.config.settings import flatten, nest
from semad.errors import UserError
from semad.evaluation.compared import read_metrics
from semad.evaluation.evaluate import check, checksum_of_test_data, protocol_of
from semad.run.prepare import Run
from semad.run.workdir import newest_step, restore
from semad.utils.files import new_folder, write_text
from semad.utils.locks import folder_lock

_log = logging.getLogger(__name__)

_SELECTED = ("name", "smoothing", "pooling", "pixel_rate")  # of `config.score`, by `config.select`


def run_if_missing(
    workdir: Path,
    config: ml_collections.ConfigDict,
    output: Path | None = None,
    ledger: Path | None = None,
) -> Path:
    """Trains and evaluates what is missing, and leaves what is there.

    Args:
      workdir: of the run.
      config: of its population.
      output: takes the evaluation; None for the workdir.
      ledger: see `semad.pipeline.train_and_evaluate`.

    Returns:
      The folder of the evaluation.

    Raises:
      UserError: for everything a user can cause.
    """
    with folder_lock(workdir, "train and evaluate"):
        return _run_if_missing(workdir, config, output, ledger)


def _run_if_missing(
    workdir: Path,
    config: ml_collections.ConfigDict,
    output: Path | None,
    ledger: Path | None,
) -> Path:
    run = pipeline.prepare_in(workdir, config)
    check(run)
    steps, newest = run.total_steps, newest_step(workdir)
    if newest is not None and newest > steps:
        raise UserError(
            f"{workdir} was trained to step {newest}, but its config asks for {steps}; give the "
            "epochs it was trained for, or another folder"
        )
    state = pipeline.train(run, workdir) if newest != steps else restore(workdir, run.system)
    output = output or workdir
    folder = output / "evaluation" / protocol_of(run)
    if not _evaluated(folder, run, state.step.tolist()):
        pipeline.evaluate(run, state, workdir, output, ledger)
    return folder


def _evaluated(folder: Path, run: Run, steps: list[int]) -> bool:
    """Whether an evaluation of these weights, on these test data, with this config, is there."""
    try:
        stored = read_metrics(folder)
    except UserError as error:
        if folder.exists():
            _log.warning("%s", error)
        return False
    known, wanted = stored["config"], json.loads(json.dumps(nest(flatten(run.settings))))
    for config in (known, wanted):
        config["data"].pop("dir", None)
        config["eval"].pop("purpose", None)
        config["population"].pop("together", None)
        if stored["selection"]:
            for key in _SELECTED:
                config["score"].pop(key, None)
    same = [member["step"] for member in stored.get("members", [stored])] == steps
    if not same or known != wanted:
        return False
    return stored.get("test_data_sha256") == checksum_of_test_data(run.source)


def publish(folder: Path, files: dict[str, str]) -> Path:
    """Writes what was made of results; another version that stood there is kept as `<name>.1`.

    Args:
      folder: for all files.
      files: name -> text.
    """
    if all(
        (folder / name).is_file() and (folder / name).read_text() == text
        for name, text in files.items()
    ):
        return folder
    with new_folder(folder) as part:
        for name, text in files.items():
            write_text(part / name, text)
    return folder


def rounded(value: Any) -> Any:
    """A result with five digits, which are plenty, for a small file."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
