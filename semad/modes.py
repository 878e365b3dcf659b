"""The launcher: trains, evaluates and uses one run in a workdir.

python main.py --config configs/bigan.py:small --workdir runs/bigan
python main.py --workdir runs/bigan --mode evaluate
python main.py --workdir runs/bigan --mode score --images my_sem_folder --output out
"""

import logging
import os
import sys
from pathlib import Path
from typing import Any

import jax
import ml_collections
from absl import flags

from semad import pipeline
from semad.commandline import (
    asks_for_help,
    define_config_flag,
    foreign_errors,
    parse_flags,
    setup_logging,
    with_config_file,
)
from semad.config import files
from semad.errors import SomeUnreadable, UserError
from semad.evaluation.evaluate import check
from semad.inference.detector import Detector, load
from semad.inference.export import FORMATS, export
from semad.inference.inspection import inspect
from semad.inference.records import count, without_verdict
from semad.reports.render import format_figure
from semad.reports.run import write_report
from semad.run.workdir import check_has_checkpoint, restore
from semad.utils.backend import in_float32
from semad.utils.locks import folder_lock
from semad.utils.paths import expanded

_log = logging.getLogger("semad")

MODES = ("train_and_evaluate", "train", "evaluate", "score", "export")
_RESTORING = ("evaluate", "score", "export")


@in_float32
def run(
    mode: str,
    workdir: Path,
    config: ml_collections.ConfigDict,
    images: Path | None = None,
    output: Path | None = None,
    ledger: Path | None = None,
    file_format: str | None = None,
) -> None:
    """Trains, evaluates, inspects new images, or exports.

    Args:
      mode: one of `MODES`.
      workdir: the run's folder; made when training.
      config: the run's config with overrides.
      images: to inspect, a file or a folder; `score` only.
      output: takes the results of `score` and `export`.
      ledger: see `semad.pipeline.train_and_evaluate`.
      file_format: of `export`: one of `semad.inference.export.FORMATS`; None is the first.

    Raises:
      UserError: for everything a user can cause.
    """
    _check_paths(mode, images, output)
    if mode != "export" and file_format is not None:
        raise UserError("--format is for --mode export")
    _log.info("%s on %s", mode, _devices())
    if mode in _RESTORING:
        files.load(workdir)  # raises where there is no run
        check_has_checkpoint(workdir)
    if mode == "score":
        assert images is not None and output is not None  # see `_check_paths`
        _inspect(load(workdir, config=config), images, output)
    elif mode == "export":
        detector = load(workdir, config=config)
        path = export(detector, output or workdir / "export", file_format or FORMATS[0])
        _log.info("exported: %s", path)
    else:
        with folder_lock(workdir, mode):
            _train_and_evaluate(mode, workdir, config, ledger)


def _devices() -> str:
    """The backend and its devices, in words.

    Raises:
      UserError: when JAX has no such backend here.
    """
    try:
        kinds = ", ".join(device.device_kind for device in jax.devices())
    except (RuntimeError, AssertionError) as error:  # the second for JAX_PLATFORMS=cuda on a CPU
        reason = f" ({error})" if str(error) else ""
        raise UserError(
            f"JAX_PLATFORMS is {os.environ.get('JAX_PLATFORMS', '')!r}, and JAX has no such device "
            f"here{reason}; unset it, or install the jax that supports the device"
        ) from error
    return f"{jax.default_backend()} ({kinds})"


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
      SomeUnreadable: at the end, when there were images without a verdict.
    """
    inspection = inspect(detector, images, output)
    counts = count(inspection.records)
    _log.info(
        "%d files: %s; %d scored now, in %.0f s",
        len(inspection.records),
        ", ".join(f"{number} {what}" for what, number in counts.items()),
        *(inspection.scored, inspection.seconds),
    )
    _log.info("report: %s; scores.csv and defects.csv beside it", output / "report.html")
    if missing := without_verdict(inspection.records):
        raise SomeUnreadable(
            f"{len(missing)} of {len(inspection.records)} files got no verdict; see scores.csv"
        )


def _train_and_evaluate(
    mode: str, workdir: Path, config: ml_collections.ConfigDict, ledger: Path | None
) -> None:
    restores = mode == "evaluate"
    run = pipeline.prepare_in(workdir, config, trains=not restores)
    if mode != "train":
        check(run)  # before hours of training
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
    """Defines the flags beside `--config`.

    Not on import, so that a script that imports this module may have flags of its own.
    """
    flags.DEFINE_string("workdir", None, "Folder of the run: config, checkpoints, log, results.")
    flags.DEFINE_string("images", None, "What --mode score inspects: an image or a folder of them.")
    flags.DEFINE_string("output", None, "Takes the results of --mode score or --mode export.")
    flags.DEFINE_enum("mode", MODES[0], MODES, "What to do.")
    flags.DEFINE_enum("format", None, FORMATS, f"What --mode export writes; {FORMATS[0]} if unset.")


def _print_help() -> None:
    """All flags, whichever program was started: absl lists those of the main module alone."""
    for name in ("config", "workdir", "mode", "images", "output", "format"):
        flags.FLAGS.register_key_flag_for_module("semad", flags.FLAGS[name])
    print(f"{__doc__}\n{flags.FLAGS.module_help('semad')}")


def main(ledger: Path | None = None) -> None:
    """Runs the mode that `sys.argv` asks for.

    Args:
      ledger: takes a line about every evaluation of NanoTWICE.

    Raises:
      UserError: for everything a user can cause.
    """
    setup_logging()
    with foreign_errors():
        argv = with_config_file(sys.argv)
        define_config_flag(argv)
        _define_flags()
        if asks_for_help(argv):
            _print_help()
            return
        rest = parse_flags(argv)
        given = flags.FLAGS
        if len(rest) > 1:
            raise UserError(f"unexpected argument {rest[1]!r}; flags start with --")
        workdir = expanded("--workdir", given.workdir)
        if workdir is None:
            raise UserError("--workdir is missing; give a folder for the run, like runs/bigan")
        config = given.config
        if config is None:
            raise UserError("--config is missing; give a file, like configs/bigan.py:small")
        images, output = (expanded(f"--{name}", given[name].value) for name in ("images", "output"))
        run(given.mode, workdir, config, images, output, ledger, given["format"].value)
