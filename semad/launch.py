"""From a command line to a run: flags, modes, and errors in one line."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import jax
import ml_collections
from absl import flags
from absl import logging as absl_logging
from ml_collections import config_flags

from semad import config as configs
from semad import experiment
from semad.detector import Detector, load
from semad.errors import SomeUnreadable, UserError
from semad.evaluation.evaluate import check, evaluate
from semad.evaluation.selection import measure
from semad.export import export
from semad.inspection.inspect import inspect
from semad.inspection.records import UNREADABLE
from semad.reports.inspection import write_report as write_inspection
from semad.reports.render import format_figure
from semad.reports.run import write_report
from semad.training.loop import train

_log = logging.getLogger("semad")

MODES = ("train_and_evaluate", "train", "evaluate", "score", "export")
_RESTORING = ("evaluate", "score", "export")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the process with one line and an exit code for every error that a user can cause."""
    try:
        yield
    except UserError as error:
        _leave(str(error), error.exit_code)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _leave(f"{where}{error.strerror or error}; check the path, the access and the space", 2)
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        _leave(
            "out of memory; set config.population.together=1, or lower config.train.batch_size, "
            "config.model.width, config.score.chunk or config.score.window",
            2,
        )
    except KeyboardInterrupt:
        _leave("stopped", 130)


def _leave(message: str, code: int) -> None:
    print(f"semad: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


def setup_logging() -> None:
    """Our own messages to standard error; of the libraries only warnings."""
    absl_logging.set_verbosity(absl_logging.WARNING)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("semad: %(message)s"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    _log.propagate = False


def define_config_flag(argv: Sequence[str]) -> None:
    """Defines `--config`: a file when one is named, else the workdir's own config.

    Raises:
      UserError: when there is neither.
    """
    named = any(arg.split("=")[0] in ("--config", "-config") for arg in argv)
    if named or any(arg.startswith(("-help", "--help")) for arg in argv):
        path = (_value(argv, "config") or "").partition(":")[0]
        # Configs import their neighbours as `configs.<name>`, whichever folder the script is in.
        sys.path.append(str(Path(path).resolve().parent.parent))
        config_flags.DEFINE_config_file("config", help_string="config file, with :preset")
        return
    workdir = _value(argv, "workdir")
    if workdir is None:
        raise UserError(
            "neither --config nor --workdir given; for example: python main.py "
            "--config configs/bigan.py:smoke --workdir runs/bigan"
        )
    config_flags.DEFINE_config_dict("config", configs.load(Path(workdir)))


def _value(argv: Sequence[str], flag: str) -> str | None:
    for number, arg in enumerate(argv):
        name, equals, value = arg.lstrip("-").partition("=")
        if name == flag and arg.startswith("-"):
            return value if equals else (list(argv[number + 1 :]) + [None])[0]
    return None


def parse_flags(argv: Sequence[str]) -> list[str]:
    """absl's parser, with every complaint in one line.

    Raises:
      UserError: for an unknown flag, key, preset or file, or a value of the wrong type.
    """
    try:
        rest = flags.FLAGS(argv)
        if flags.FLAGS["config"].value is not None:
            flags.FLAGS.config.keys()  # a config file that was not found complains only here
        return rest
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise UserError(_shorten(error)) from error


def _shorten(error: Exception) -> str:
    text = str(error.args[0] if error.args else error).replace("\\n", "\n")
    lines = [line.strip(" \t'\"\\") for line in text.splitlines()]
    lines = [line for line in lines if line] or [type(error).__name__]
    if "Error whilst parsing config file" in text:
        return lines[-1].rpartition("Error: ")[2]  # comes with a traceback, and the reason last
    if "Failed loading config file" in text:
        path = lines[-1].rpartition(": ")[2].strip("'")
        return f"config file not found: {path}; they are in configs/"
    if isinstance(error, AttributeError | KeyError):
        return f"unknown config key {lines[0]}; {' '.join(lines[1:]) or 'see configs/common.py'}"
    return " ".join(lines)


def run(
    mode: str,
    workdir: Path,
    config: ml_collections.ConfigDict,
    images: Path | None = None,
    output: Path | None = None,
) -> None:
    """Trains, evaluates, inspects new images, or exports.

    Args:
      mode: one of `MODES`.
      workdir: the run's folder; made when training.
      config: the run's config with overrides.
      images: to inspect, a file or a folder; `score` only.
      output: takes the results of `score` and `export`.

    Raises:
      UserError: for everything a user can cause.
    """
    _check_paths(mode, images, output)
    devices = ", ".join(device.device_kind for device in jax.devices())
    _log.info("%s on %s (%s)", mode, jax.default_backend(), devices)
    if (workdir / "config.json").is_file() or (workdir / "checkpoints").exists():
        configs.check_same_run(workdir, config)
    elif mode in _RESTORING:
        configs.load(workdir)  # says what is missing
    if mode in _RESTORING:
        experiment.check_has_checkpoint(workdir)
    if mode == "score":
        _inspect(load(workdir, config=config), images, output)
    elif mode == "export":
        path = export(load(workdir, config=config), output or workdir / "export")
        _log.info("exported: %s", path)
    else:
        _train_and_evaluate(mode, workdir, config)


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
    bad = sum(one["verdict"] == UNREADABLE for one in records)
    anomalous = sum(one["verdict"] == "anomalous" for one in records)
    _log.info(
        "%d images: %d anomalous, %d normal, %d unreadable; %d scored now, in %.0f s",
        *(len(records), anomalous, len(records) - anomalous - bad, bad),
        *(inspection.scored, inspection.seconds),
    )
    _log.info("report: %s; scores.csv and defects.csv beside it", output / "report.html")
    if bad:
        raise SomeUnreadable(f"{bad} of {len(records)} files could not be read; see scores.csv")


def _train_and_evaluate(mode: str, workdir: Path, config: ml_collections.ConfigDict) -> None:
    prepared = experiment.prepare(config)
    configs.check_same_data(workdir, prepared.source.train)
    if mode != "train":
        check(prepared)  # complains before hours of training
    if mode == "evaluate":
        state = experiment.restore(workdir, config, prepared.method)
    else:
        experiment.store(workdir, prepared)
        state = train(prepared, workdir, measure=measure(prepared))
        if mode != "train" and config.eval.checkpoint == "best":
            state = experiment.restore(workdir, config, prepared.method)
        _log.info(
            "trained to step %d; checkpoints, log and TensorBoard in %s", state.step[0], workdir
        )
    if mode == "train":
        write_report(workdir, config)
        return
    result = evaluate(prepared, state, workdir)
    folder = workdir / "evaluation" / result["protocol"]
    _log.info("%s: %s", result["score"], _figures(result))
    for name, values in result["baselines"].items():
        _log.info("baseline %s: %s", name, _figures(values))
    _log.info("report: %s; figures and scores: %s", workdir / "report.html", folder)


def _figures(values: dict) -> str:
    names = {"auroc": "AUROC", "average_precision": "average precision"}
    spread = values.get("std", {})
    parts = [
        f"{label} {format_figure(values[key])}"
        + (f" ± {format_figure(spread[key])}" if spread else "")
        for key, label in names.items()
    ]
    seeds = len({member["seed"] for member in values.get("members", [])})
    return ", ".join(parts) + (f" ({seeds} seeds)" if spread else "")
