"""Runs that belong together (ablation, comparison, sweep): each is done once, and resumable."""

import json
from pathlib import Path
from typing import Any

import ml_collections

from semad import config as configs
from semad import experiment, launch
from semad.data.patches import steps_per_epoch
from semad.errors import UserError
from semad.evaluation.evaluate import check, checksum_of_test_data, evaluate
from semad.evaluation.protocols import resolve
from semad.experiment import Experiment
from semad.files import new_folder, write_text
from semad.training.state import phase_bounds

_CHOSEN = ("name", "smoothing", "pooling")  # of `config.score`, by `config.select`


def complete(workdir: Path, config: ml_collections.ConfigDict, output: Path | None = None) -> Path:
    """Trains and evaluates what is missing, and leaves what is there.

    Args:
      workdir: of the run.
      config: of its population.
      output: takes the evaluation; None for the workdir.

    Returns:
      The folder of the evaluation.

    Raises:
      UserError: for everything a user can cause, as `semad.launch.run`.
    """
    if (workdir / "config.json").is_file():
        configs.check_same_run(workdir, config)
    run = experiment.prepare(config)
    check(run)
    steps, newest = total_steps(run), _newest_step(workdir)
    if newest is not None and newest > steps:
        raise UserError(
            f"{workdir} was trained to step {newest}, but its config asks for {steps}; give the "
            "epochs it was trained for, or another folder"
        )
    if newest != steps:
        launch.run("train", workdir, config)
    configs.check_same_data(workdir, run.source.train)
    state = experiment.restore(workdir, config, run.method)
    protocol = resolve(config.eval.protocol, run.source, run.method.convolutional)
    output = output or workdir
    folder = output / "evaluation" / protocol
    if not _evaluated(folder, run, state.step.tolist()):
        evaluate(run, state, workdir, output)
    return folder


def total_steps(run: Experiment) -> int:
    """Of all phases."""
    return phase_bounds(run.method, steps_per_epoch(run.draw, run.train.pixels.shape[0]))[-1][2]


def _newest_step(workdir: Path) -> int | None:
    folder = workdir / "checkpoints"
    steps = [int(path.name) for path in folder.glob("*") if path.name.isdigit()]
    return max(steps, default=None)


def _evaluated(folder: Path, run: Experiment, steps: list[int]) -> bool:
    """Whether an evaluation of these weights, on these test data, with this config, is there."""
    path = folder / "metrics.json"
    if not path.is_file():
        return False
    stored = json.loads(path.read_text())
    known, wanted = stored["config"], json.loads(run.config.to_json())
    for one in (known, wanted):
        one["data"].pop("dir", None)
        one["eval"].pop("purpose", None)
        one["population"].pop("together", None)
        if stored["selection"]:
            for key in _CHOSEN:
                one["score"].pop(key, None)
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
