"""The modes of the launcher: each trains, evaluates or uses one run in a workdir."""

import logging
import os
from pathlib import Path
from typing import Any

import jax
import ml_collections

from semad import pipeline
from semad.commandline import FORMATS
from semad.config import files
from semad.config.settings import resolve
from semad.errors import SomeUnreadable, UserError
from semad.evaluation.evaluate import check
from semad.inference.detector import Detector, load
from semad.inference.export import export
from semad.inference.inspection import inspect
from semad.inference.records import count, without_verdict
from semad.methods import METHODS
from semad.reports.render import format_figure
from semad.reports.run import write_report
from semad.run.workdir import TEACHING_FILE, check_has_checkpoint, restore
from semad.teaching.teach import teach
from semad.utils import collective, hosts
from semad.utils.backend import in_float32
from semad.utils.cores import split_cpu
from semad.utils.locks import folder_lock

_log = logging.getLogger("semad")

_RESTORING = ("evaluate", "score", "teach", "export")


@in_float32
def run(
    mode: str,
    workdir: Path,
    config: ml_collections.ConfigDict,
    images: Path | None = None,
    output: Path | None = None,
    file_format: str | None = None,
    ledger: Path | None = None,
) -> None:
    """Trains, evaluates, inspects new images, or exports.

    Args:
      mode: one of `semad.commandline.MODES`.
      workdir: the run's folder; made when training.
      config: the run's config with overrides.
      images: to inspect, a file or a folder; or the folder that `teach` learns from.
      output: takes the results of `score` and `export`, and the run that `teach` makes.
      file_format: of `export`: one of `semad.commandline.FORMATS`; None is the first.
      ledger: see `semad.pipeline.train_and_evaluate`.

    Raises:
      UserError: for everything a user can cause.
    """
    _check_paths(mode, images, output)
    collective.check_same({"--mode": mode})
    if mode != "export" and file_format is not None:
        raise UserError("--format is for --mode export")
    split_cpu_if_it_pays(mode, config)
    _log.info("%s on %s", mode, _devices())
    if mode in _RESTORING:
        files.load(workdir)  # raises where there is no run
        check_has_checkpoint(workdir)
    if mode == "score":
        assert images is not None and output is not None  # see `_check_paths`
        _inspect(load(workdir, config=config), images, output)
    elif mode == "teach":
        assert images is not None and output is not None  # see `_check_paths`
        _teach(workdir, config, images, output)
    elif mode == "export":
        detector = load(workdir, config=config)
        path = export(detector, output or workdir / "export", file_format or FORMATS[0])
        _log.info("exported: %s", path)
    else:
        with folder_lock(workdir, mode):
            _train_and_evaluate(mode, workdir, config, ledger)


def split_cpu_if_it_pays(mode: str, config: ml_collections.ConfigDict) -> None:
    """Makes a CPU two devices where a mode trains what gains by them; before JAX has any.

    Raises:
      UserError: for a bad config.
    """
    if hosts.count() > 1 or mode not in ("train_and_evaluate", "train", "teach"):
        return
    settings = resolve(config)
    method = METHODS.get(settings.method)
    # Only the dense discriminator can be taught; the config here may not be that of its run.
    if mode == "teach" or (method and method(settings).halves_batch_on_cpu):
        split_cpu()


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
    examples = {
        "score": "semad --workdir runs/bigan --mode score --images folder --output out",
        "teach": "semad --workdir runs/mine --mode teach --images outlined --output runs/taught",
    }
    if mode in examples and (images is None or output is None):
        missing = "--images" if images is None else "--output"
        raise UserError(f"--mode {mode} needs {missing}; for example: {examples[mode]}")
    if mode not in examples and images is not None:
        raise UserError(f"--images is for --mode score; for example: {examples['score']}")
    if mode not in (*examples, "export") and output is not None:
        raise UserError("--output is for --mode score and --mode export; runs write to --workdir")


def _teach(workdir: Path, config: ml_collections.ConfigDict, images: Path, output: Path) -> None:
    for line in teach(workdir, config, images, output)["effect"]["in_words"]:
        _log.info("%s", line)
    _log.info("report: %s; the figures are in %s beside it", output / "report.html", TEACHING_FILE)
    _log.info("next: semad --workdir %s --mode score --images folder --output out", output)


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
        if hosts.writes():
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
