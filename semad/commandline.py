"""Command lines: flags and what they say, messages, and every user's error in one line.

JAX is not imported here: help and a mistyped flag are answered without the seconds that it takes.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import ml_collections
from absl import flags
from absl import logging as absl_logging

from semad.config.flags import (
    asks_for_help,
    define_config_flag,
    parse_flags,
    with_config_file,
)
from semad.config.knob import shown
from semad.config.overrides import config_names
from semad.errors import UserError, out_of_memory
from semad.utils.ending import ends_in_one_line
from semad.utils.paths import expanded

_log = logging.getLogger("semad")

MODES = ("train_and_evaluate", "train", "evaluate", "score", "teach", "export")
FORMATS = ("stablehlo", "onnx")
TOGETHER = ("train_and_evaluate", "train", "evaluate")
"""Modes that several processes can share."""

_ABOUT = """semad: trains, evaluates and uses a detector in a workdir.

semad --config bigan:small --workdir runs/bigan
semad --workdir runs/bigan --mode evaluate
semad --workdir runs/bigan --mode score --images my_sem_folder --output out
semad --workdir runs/mine --mode teach --images outlined --output runs/mine_taught

`python -m semad` is the same and, in a clone, `python main.py`. A config is a path to a file, or
one of these names: {names}.
"""


class Processes(NamedTuple):
    """Those that work on a run together, by the names of JAX; all None where JAX finds them."""

    coordinator_address: str | None
    num_processes: int | None
    process_id: int | None


class Work(NamedTuple):
    """What there is to do, as `semad.modes.run` takes it.

    Attributes:
      mode: one of `MODES`.
      workdir: the run's folder.
      config: the run's config with overrides.
      images: to inspect, a file or a folder; None unless given.
      output: takes the results of some modes; None unless given.
      file_format: of `export`, one of `FORMATS`; None unless given.
    """

    mode: str
    workdir: Path
    config: ml_collections.ConfigDict
    images: Path | None
    output: Path | None
    file_format: str | None


class Command(NamedTuple):
    """What a command line asks for; `processes` is None unless several share the work."""

    work: Work
    processes: Processes | None


def read(argv: Sequence[str]) -> Command | None:
    """The command of an argument list; None for `--help`, once it is printed.

    Raises:
      UserError: for a flag, key or value that does not exist, or one that is missing.
    """
    argv = with_config_file(argv)
    define_config_flag(argv)
    _define_flags()
    if asks_for_help(argv):
        _print_help()
        return None
    rest = parse_flags(argv)
    given = flags.FLAGS
    if len(rest) > 1:
        raise UserError(f"unexpected argument {rest[1]!r}; flags start with --")
    workdir = expanded("--workdir", given.workdir)
    if workdir is None:
        raise UserError("--workdir is missing; give a folder for the run, like runs/bigan")
    if given.config is None:
        raise UserError("--config is missing; give a name or a file, like bigan:small")
    images, output = (expanded(f"--{name}", given[name].value) for name in ("images", "output"))
    file_format = given["format"].value
    work = Work(given.mode, workdir, given.config, images, output, file_format)
    return Command(work, _processes(given))


def _processes(given: flags.FlagValues) -> Processes | None:
    """The processes that the flags name, if any.

    Raises:
      UserError: for flags that do not belong together, or a mode for a single process.
    """
    named = Processes(*(given[name].value for name in Processes._fields))
    if all(value is None for value in named) and not given.distributed:
        return None
    address, count, number = named
    if given.mode not in TOGETHER:
        raise UserError(
            f"--mode {given.mode} is work of one process; start one for each part of the folder, "
            "each with its --output, without the flags for several processes"
        )
    if all(value is None for value in named):
        return named
    if address is None or count is None or number is None:
        raise UserError(
            "--coordinator_address, --num_processes and --process_id belong together; give all "
            "three, or --distributed alone where the cluster says them"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 <= number < count:
        raise UserError(
            f"--coordinator_address={shown(address)} --num_processes={count} "
            f"--process_id={number}: give host:port of process 0, and numbers from 0 on"
        )
    return named


def _define_flags() -> None:
    """Defines the flags beside `--config`.

    Not on import, so that a script that imports this module may have flags of its own.
    """
    flags.DEFINE_string("workdir", None, "Folder of the run: config, checkpoints, log, results.")
    flags.DEFINE_string("images", None, "What --mode score inspects, or --mode teach learns.")
    flags.DEFINE_string("output", None, "Takes the results of score, teach or export.")
    flags.DEFINE_enum("mode", MODES[0], MODES, "What to do.")
    flags.DEFINE_bool("distributed", False, "Several processes share the work; the cluster says.")
    flags.DEFINE_string("coordinator_address", None, "host:port of process 0 of several.")
    flags.DEFINE_integer("num_processes", None, "How many processes share the work.")
    flags.DEFINE_integer("process_id", None, "Number of this process among them, from 0 on.")
    flags.DEFINE_enum("format", None, FORMATS, f"What --mode export writes; {FORMATS[0]} if unset.")


def _print_help() -> None:
    """All flags, whichever program was started: absl lists those of the main module alone."""
    names = ("config", "workdir", "mode", "images", "output", "format", "distributed")
    for name in (*names, *Processes._fields):
        flags.FLAGS.register_key_flag_for_module("semad", flags.FLAGS[name])
    about = _ABOUT.format(names=", ".join(config_names()))
    print(f"{about}\n{flags.FLAGS.module_help('semad')}")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """For scripts: ends the process with one line for every error that a user can cause."""
    with ends_in_one_line(), foreign_errors():
        yield


@contextmanager
def foreign_errors() -> Iterator[None]:
    """Turns what the system and JAX raise through no fault of semad into a UserError.

    Raises:
      UserError: for an OSError, or where memory ran out.
    """
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise UserError(
            f"{where}{error.strerror or error}; check the path, the access and the space"
        ) from error
    except (RuntimeError, MemoryError) as error:  # JAX raises a RuntimeError of its own
        if isinstance(error, RuntimeError) and not out_of_memory(error):
            raise
        raise UserError(
            "out of memory; set config.population.together=1, or lower config.train.batch_size, "
            "config.model.width, config.score.chunk or config.score.window"
        ) from error


def setup_logging() -> None:
    """Our own messages to standard error; of the libraries only warnings."""
    absl_logging.set_verbosity(absl_logging.WARNING)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("semad: %(message)s"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    _log.propagate = False
