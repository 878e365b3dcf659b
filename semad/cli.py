"""The launcher: what each mode of `main.py` and of the console script `semad` does."""

import logging
import sys
from pathlib import Path
from typing import Any

import jax
import ml_collections
from absl import app, flags

from semad import pipeline
from semad.commandline import (
    define_config_flag,
    one_line_errors,
    parse_flags,
    setup_logging,
    with_config_file,
)
from semad.config import files
from semad.errors import SomeUnreadable, UserError
from semad.evaluation.evaluate import check
from semad.inference.detector import Detector, load
from semad.inference.export import export
from semad.inference.inspection import inspect
from semad.inference.inspection_report import write_report as write_inspection
from semad.inference.records import UNREADABLE
from semad.reports.render import format_figure
from semad.reports.run import write_report
from semad.run.workdir import check_has_checkpoint, restore

_log = logging.getLogger("semad")

MODES = ("train_and_evaluate", "train", "evaluate", "score", "export")
_RESTORING = ("evaluate", "score", "export")


def run(
    mode: str,
    workdir: Path,
    config: ml_collections.ConfigDict,
    images: Path | None = None,
    output: Path | None = None,
    ledger: Path | None = None,
) -> None:
    """Trains, evaluates, inspects new images, or exports.

    Args:
      mode: one of `MODES`.
      workdir: the run's folder; made when training.
      config: the run's config with overrides.
      images: to inspect, a file or a folder; `score` only.
      output: takes the results of `score` and `export`.
      ledger: see `semad.pipeline.train_and_evaluate`.

    Raises:
      UserError: for everything a user can cause.
    """
    _check_paths(mode, images, output)
    devices = ", ".join(device.device_kind for device in jax.devices())
    _log.info("%s on %s (%s)", mode, jax.default_backend(), devices)
    if mode in _RESTORING:
        files.load(workdir)  # raises where there is no run
        check_has_checkpoint(workdir)
    if mode == "score":
        assert images is not None and output is not None  # see `_check_paths`
        _inspect(load(workdir, config=config), images, output)
    elif mode == "export":
        path = export(load(workdir, config=config), output or workdir / "export")
        _log.info("exported: %s", path)
    else:
        _train_and_evaluate(mode, workdir, config, ledger)


def _check_paths(mode: str, images: Path | None, output: Path | None) -> None:
    example = "python main.py --workdir runs/bigan --mode score --images folder --output out"
    if mode == "score" and (images is None or output is None):
        missing = "--images" if images is None else "--output"
        raise UserError(f"--mode score needs {missing}; for example: {example}")
    if mode != "score" and images is not None:
        raise UserError(f"--images is for --mode score; for example: {example}")
    if mode not in ("score", "export") and output is not None:
        raise UserError("--output is for --mode score and --mode export; runs write to --workdir")


def _inspect(detector: Detector, images: Path, output: Path) -> None:
    """Inspects new images.

    Raises:
      SomeUnreadable: at the end, when there were images that could not be read.
    """
    inspection = inspect(detector, images, output)
    write_inspection(detector, output, inspection)
    records = inspection.records
    bad = sum(record["verdict"] == UNREADABLE for record in records)
    anomalous = sum(record["verdict"] == "anomalous" for record in records)
    _log.info(
        "%d images: %d anomalous, %d normal, %d unreadable; %d scored now, in %.0f s",
        *(len(records), anomalous, len(records) - anomalous - bad, bad),
        *(inspection.scored, inspection.seconds),
    )
    _log.info("report: %s; scores.csv and defects.csv beside it", output / "report.html")
    if bad:
        raise SomeUnreadable(f"{bad} of {len(records)} files could not be read; see scores.csv")


def _train_and_evaluate(
    mode: str, workdir: Path, config: ml_collections.ConfigDict, ledger: Path | None
) -> None:
    run = pipeline.prepare_in(workdir, config)
    if mode != "train":
        check(run)  # before hours of training
    restores = mode == "evaluate"
    state = restore(workdir, run.system) if restores else pipeline.train(run, workdir)
    if mode == "train":
        write_report(workdir, run.settings)
        return
    result = pipeline.evaluate(run, state, workdir, ledger=ledger)
    folder = workdir / "evaluation" / result["protocol"]
    _log.info("%s: %s", result["score"], _figures(result))
    for name, values in result["baselines"].items():
        _log.info("baseline %s: %s", name, _figures(values))
    _log.info("report: %s; figures and scores: %s", workdir / "report.html", folder)


def _figures(values: dict[str, Any]) -> str:
    names = {"auroc": "AUROC", "average_precision": "average precision"}
    spread = values.get("std", {})
    parts = [
        f"{label} {format_figure(values[key])}"
        + (f" ± {format_figure(spread[key])}" if spread else "")
        for key, label in names.items()
    ]
    seeds = len({member["seed"] for member in values.get("members", [])})
    return ", ".join(parts) + (f" ({seeds} seeds)" if spread else "")


def _define_flags() -> None:
    """Defines the flags beside `--config`, and has `--help` list all.

    Not on import, so that a script that imports this module may have flags of its own.
    """
    flags.DEFINE_string("workdir", None, "Folder of the run: config, checkpoints, log, results.")
    flags.DEFINE_string("images", None, "What --mode score inspects: an image or a folder of them.")
    flags.DEFINE_string("output", None, "Takes the results of --mode score or --mode export.")
    flags.DEFINE_enum("mode", MODES[0], MODES, "What to do.")
    for name in ("config", "workdir", "mode", "images", "output"):
        # absl lists the flags of the program that was started alone.
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[name])


def main(ledger: Path | None = None) -> None:
    """The command line: what `main.py` and the console script `semad` run.

    Args:
      ledger: takes a line about every evaluation of NanoTWICE.
    """

    def dispatch(argv: list[str]) -> None:
        given = flags.FLAGS
        with one_line_errors():
            if len(argv) > 1:
                raise UserError(f"unexpected argument {argv[1]!r}; flags start with --")
            if not given.workdir:
                raise UserError("--workdir is missing; give a folder for the run, like runs/bigan")
            if given.config is None:
                raise UserError("--config is missing; give a file, like configs/bigan.py:small")
            images, output = (path and Path(path) for path in (given.images, given.output))
            run(given.mode, Path(given.workdir), given.config, images, output, ledger)

    setup_logging()
    with one_line_errors():
        sys.argv = with_config_file(sys.argv)
        define_config_flag(sys.argv)
        _define_flags()
        app.run(dispatch, flags_parser=parse_flags)
