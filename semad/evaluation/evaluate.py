"""Evaluates a population and writes metrics.json, scores.npz and the figures of a protocol."""

import json
import logging
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from semad.config.settings import flatten, nest
from semad.data.source import Source
from semad.evaluation import ledger as ledgers
from semad.evaluation.item_files import write_items
from semad.evaluation.items import choose_items, evaluate_items
from semad.evaluation.pixel_files import PixelFiles
from semad.evaluation.pixels import evaluate_pixels
from semad.evaluation.protocols import resolve_protocol
from semad.run.history import load_history
from semad.run.prepare import Run
from semad.run.system import check_stride, scoring_state, with_settings
from semad.run.workdir import newest_step
from semad.scoring.unfinished import Unfinished
from semad.selection.select import apply_selection, in_words, select
from semad.selection.validator import SMOOTHINGS
from semad.training.health import ailments
from semad.training.logs import read_log, training_seconds
from semad.training.validation import reconstruction_spread
from semad.types import TrainState
from semad.utils import collective
from semad.utils.files import check_no_link, new_folder, write_text
from semad.utils.sealed import write_manifest
from semad.utils.versions import checksum, versions

_log = logging.getLogger(__name__)

METRICS_FILE = "metrics.json"


def protocol_of(run: Run) -> str:
    """The protocol of `config.eval.protocol`, `auto` resolved.

    Raises:
      UserError: when the data does not suit it.
    """
    return resolve_protocol(run.settings.eval.protocol, run.source, run.method.convolutional)


def check(run: Run) -> None:
    """Raises before hours of training what `evaluate` would raise.

    Raises:
      UserError: when the data does not suit the protocol.
    """
    if protocol_of(run) == "pixel":
        check_stride(run.settings)
    else:
        choose_items(run, protocol_of(run))


def evaluate(
    run: Run,
    state: TrainState,
    workdir: Path,
    output: Path | None = None,
    ledger: Path | None = None,
) -> dict[str, Any]:
    """Scores the test data with every member of a population and writes the results.

    Args:
      run: of `semad.run.prepare`.
      state: the population, stacked over its members.
      workdir: where the population was trained; its log says how long that took.
      output: takes `evaluation/<protocol>/`, the workdir if None; earlier results of the protocol
        are kept under another name.
      ledger: takes a line about an evaluation of NanoTWICE; see `semad.evaluation.ledger`.

    Returns:
      What metrics.json holds.

    Raises:
      UserError: when the data does not suit the protocol.
      CannotWrite: on a full disk and the like; no half-written results are left.
    """
    start = time.perf_counter()
    output = output or workdir
    protocol = protocol_of(run)
    data = checksum_of_test_data(run.source)
    parent = output / "evaluation"
    check_no_link(parent)
    origin = _origin(run, state, data)
    collective.check_same(json.loads(origin))
    unfinished = Unfinished(parent / f".{protocol}.unfinished", origin)
    # The folder first: scoring may take hours, and should not end at a disk that is read-only.
    with new_folder(parent / protocol) as folder:
        run, selection = _chosen(run, state, protocol, unfinished)
        result = _measured(run, state, protocol, folder, unfinished)
        result |= _circumstances(run, state, workdir) | {
            "protocol": protocol,
            "selection": selection,
            "seconds": round(time.perf_counter() - start, 2),
            "test_data_sha256": data,
        }
        write_text(folder / METRICS_FILE, json.dumps(result, indent=2) + "\n")
        write_manifest(folder)
    unfinished.remove()
    if ledger:
        ledgers.note(result, ledger)
    return result


def _origin(run: Run, state: TrainState, data: str) -> str:
    """All that scores depend on: settings, weights, test and normal data, code."""
    settings = flatten(run.settings)
    del settings["eval.purpose"], settings["data.dir"]
    record = {
        "config": settings,
        "weights": checksum(
            [np.asarray(leaf) for leaf in jax.tree.leaves((state.weights, state.ema))]
        ),
        "data": data,
        "normal": checksum([*run.normal.images, np.array(run.normal.seen)]),
        "versions": versions(),
    }
    return json.dumps(record, indent=1)


def checksum_of_test_data(source: Source) -> str:
    """SHA-256 of the test images, or items, and of what is known of them: labels and masks."""
    masks = [np.empty((0, 0), bool) if mask is None else mask for mask in source.masks]
    return checksum([*source.test, source.labels, *masks])


def _spread(run: Run, state: TrainState) -> list[float] | None:
    """Of every member, see `reconstruction_spread`; None for a system that rebuilds by a search, or
    not at all."""
    if not run.method.reconstruct:
        return None
    values = reconstruction_spread(run)(state)
    return [float(f"{value:.4g}") for value in values]


def _cautions(run: Run, workdir: Path, state: TrainState) -> list[str]:
    """Says when it is not the newest checkpoint that is evaluated, and nobody asked for another."""
    step, newest = int(state.step[0]), newest_step(workdir)
    if run.settings.eval.checkpoint != "newest" or newest is None or step >= newest:
        return []
    return [f"Of step {step}, though there is a checkpoint of step {newest}."]


def _chosen(
    run: Run, state: TrainState, protocol: str, unfinished: Unfinished
) -> tuple[Run, dict[str, Any] | None]:
    """The run with what `config.select` chooses, for all members by the first, and that choice."""
    if run.settings.select == "none":
        return run, None
    member = scoring_state(run.system, state, 0)
    smoothings = SMOOTHINGS if protocol == "pixel" else SMOOTHINGS[:1]  # tiles are not smoothed
    selection = select(run.system, member, run.holdout, smoothings, unfinished)
    _log.info("%s", in_words(run.settings, selection))
    chosen = apply_selection(run.settings, selection)
    return run._replace(system=with_settings(run.system, chosen)), selection


def _measured(
    run: Run, state: TrainState, protocol: str, folder: Path, unfinished: Unfinished
) -> dict[str, Any]:
    """The metrics of the protocol, whose other files are written to the folder."""
    if protocol == "pixel":
        return evaluate_pixels(run, state, PixelFiles(folder), unfinished)
    evaluated = evaluate_items(run, state, protocol, unfinished)
    write_items(folder, run, evaluated)
    return evaluated.metrics


def _circumstances(run: Run, state: TrainState, workdir: Path) -> dict[str, Any]:
    """What was evaluated, how it was trained, and what to think of it."""
    return {
        "method": run.method.name,
        "dataset": run.source.name,
        "seed": run.settings.seed,
        "step": int(state.step[0]),
        "score": run.system.scoring.score,
        "reconstruction_spread": _spread(run, state),
        "training_seconds": training_seconds(workdir),
        "history": load_history(workdir),
        "cautions": [*run.source.cautions, *_cautions(run, workdir, state)],
        "health": [ailment.sentence for ailment in ailments(read_log(workdir))],
        "versions": versions(),
        "config": nest(flatten(run.settings)),
    }
