"""Evaluates a population and writes what the README lists: metrics, scores, figures, a report."""

import json
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from semad import config
from semad.data.source import Source
from semad.evaluation import ledger
from semad.evaluation.dense import evaluate_pixels
from semad.evaluation.items import choose_items, evaluate_items
from semad.evaluation.protocols import resolve
from semad.evaluation.selection import apply, select
from semad.evaluation.validator import SMOOTHINGS
from semad.experiment import Experiment, check_stride, score_name, scoring_member
from semad.files import new_folder, write_text
from semad.reports.run import write_report
from semad.scoring.unfinished import Unfinished
from semad.training.logs import training_seconds
from semad.training.validation import reconstruction_spread
from semad.types import TrainState


def check(run: Experiment) -> None:
    """Complains before hours of training of what `evaluate` would complain of.

    Raises:
      UserError: when the data does not suit the protocol.
    """
    if resolve(run.config.eval.protocol, run.source, run.method.convolutional) == "pixel":
        check_stride(run.config)
    else:
        choose_items(run)


def evaluate(
    run: Experiment, state: TrainState, workdir: Path, output: Path | None = None
) -> dict[str, Any]:
    """Scores the test data with every member of a population and writes the results.

    Args:
      run: of `semad.experiment.prepare`.
      state: the population, stacked over its members.
      workdir: where the population was trained; its log is part of the report.
      output: takes `evaluation/<protocol>/` and `report.html`, the workdir if None; earlier results
        of the protocol are kept under another name.

    Returns:
      What metrics.json holds.

    Raises:
      UserError: when the data does not suit the protocol.
    """
    start = time.perf_counter()
    output = output or workdir
    protocol = resolve(run.config.eval.protocol, run.source, run.method.convolutional)
    selection = _select(run, state, protocol)
    if selection:
        run = run._replace(config=apply(run.config, selection))
    name = score_name(run.config, run.method)
    part = evaluate_pixels if protocol == "pixel" else evaluate_items
    # The folder first: scoring may take hours, and should not end at a disk that is read-only.
    data = checksum_of_test_data(run.source)
    unfinished = Unfinished(
        output / "evaluation" / f".{protocol}.unfinished", _origin(run, state, data)
    )
    with new_folder(output / "evaluation" / protocol) as folder:
        result = part(run, state, folder, name, unfinished) | {
            "method": run.method.name,
            "dataset": run.source.name,
            "protocol": protocol,
            "seed": run.config.seed,
            "step": int(state.step[0]),
            "score": name,
            "selection": selection,
            "reconstruction_spread": _spread(run, state),
            "seconds": round(time.perf_counter() - start, 2),
            "training_seconds": training_seconds(workdir),
            "test_data_sha256": data,
            "versions": config.versions(),
            "config": json.loads(run.config.to_json()),
        }
        write_text(folder / "metrics.json", json.dumps(result, indent=2) + "\n")
        write_report(workdir, run.config, result, folder, output)
    unfinished.remove()
    ledger.note(result)
    return result


def _origin(run: Experiment, state: TrainState, data: str) -> str:
    """All that scores depend on: settings, weights, test and held-out data, code."""
    settings = config.flatten(run.config)
    del settings["eval.purpose"], settings["data.dir"]
    record = {
        "config": settings,
        "weights": config.checksum(
            [np.asarray(leaf) for leaf in jax.tree.leaves((state.weights, state.ema))]
        ),
        "data": data,
        "holdout": config.checksum(run.holdout.images),
        "versions": config.versions(),
    }
    return json.dumps(record, indent=1)


def checksum_of_test_data(source: Source) -> str:
    """SHA-256 of the test images, or items, and of what is known of them: labels and masks."""
    masks = [np.empty((0, 0), bool) if mask is None else mask for mask in source.masks]
    return config.checksum([*source.test, source.labels, *masks])


def _spread(run: Experiment, state: TrainState) -> list[float] | None:
    """Of every member, see `reconstruction_spread`; None for a system that rebuilds by a search, or
    not at all."""
    if not run.method.reconstruct:
        return None
    values = reconstruction_spread(run)(state)
    return [float(f"{value:.4g}") for value in values]


def _select(run: Experiment, state: TrainState, protocol: str) -> dict[str, Any] | None:
    """What `config.select` chooses, for all members by the first; only maps can be smoothed."""
    if run.config.select == "none":
        return None
    member = scoring_member(run.config, run.method, state, 0)
    smoothings = SMOOTHINGS if protocol == "pixel" else SMOOTHINGS[:1]
    return select(run.config, run.method, member, run.holdout.images, smoothings)
