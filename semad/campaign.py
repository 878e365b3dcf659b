"""Runs that belong together (ablation, comparison, sweep): each is done once, and resumable."""

import json
from pathlib import Path
from typing import Any

import ml_collections

from semad import config as configs
from semad import experiment, launch
from semad.data.patches import steps_per_epoch
from semad.evaluation.evaluate import check, evaluate
from semad.evaluation.protocols import resolve
from semad.experiment import Experiment
from semad.training.state import phase_bounds

# Of a config, what an evaluation depends on beside the weights.
_EVALUATING = ("data", "eval", "score", "search", "select", "population")


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
    steps = total_steps(run)
    if _newest_step(workdir) != steps:
        launch.run("train", workdir, config)
    protocol = resolve(config.eval.protocol, run.source, run.method.convolutional)
    output = output or workdir
    folder = output / "evaluation" / protocol
    if not _evaluated(folder, config, steps):
        configs.check_same_data(workdir, run.source.train)
        evaluate(run, experiment.restore(workdir, config, run.method), output)
    return folder


def total_steps(run: Experiment) -> int:
    """Of all phases."""
    return phase_bounds(run.method, steps_per_epoch(run.draw, run.train.pixels.shape[0]))[-1][2]


def _newest_step(workdir: Path) -> int | None:
    folder = workdir / "checkpoints"
    steps = [int(path.name) for path in folder.glob("*") if path.name.isdigit()]
    return max(steps, default=None)


def _evaluated(folder: Path, config: ml_collections.ConfigDict, step: int) -> bool:
    """Whether an evaluation of these weights, with these settings, is there."""
    path = folder / "metrics.json"
    if not path.is_file():
        return False
    stored = json.loads(path.read_text())
    wanted = json.loads(config.to_json())
    for one in (stored["config"], wanted):
        one["data"].pop("dir")
        one["eval"].pop("purpose")
        one["population"].pop("together", None)
    if stored.get("selection"):  # then the score of the stored config is what was chosen
        stored["config"].pop("score"), wanted.pop("score")
    same = all(stored["config"].get(key) == wanted.get(key) for key in _EVALUATING)
    return same and stored["step"] == step


def rounded(value: Any) -> Any:
    """A result with five digits, which are plenty, for a small file."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
