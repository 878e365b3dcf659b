"""Command lines: flags for configs, messages, and every error that a user can cause in one line."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import jax
from absl import flags
from absl import logging as absl_logging
from ml_collections import config_flags

from semad.config import files
from semad.config.overrides import PACKAGE, config_names
from semad.config.reference import flags_help
from semad.errors import UserError

_log = logging.getLogger("semad")


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
    """Defines `--config`: a file or a name when one is given, else the workdir's own config.

    Raises:
      UserError: when there is neither, or for an unknown key or a value of the wrong type.
    """
    given = any(arg.split("=")[0] in ("--config", "-config") for arg in argv)
    if given or any(arg.startswith(("-help", "--help")) for arg in argv):
        config_flags.DEFINE_config_file("config", help_string=flags_help())
        return
    workdir = _value(argv, "workdir")
    if workdir is None:
        raise UserError(
            "neither --config nor --workdir given; for example: python main.py "
            "--config configs/bigan.py:smoke --workdir runs/bigan"
        )
    config = files.load(Path(workdir))
    with _as_user_errors():  # overrides are read here already
        config_flags.DEFINE_config_dict("config", config)


def with_config_file(argv: Sequence[str]) -> list[str]:
    """The arguments, with the name of a config (`--config bigan:small`) as its installed file."""
    value = _value(argv, "config")
    name, colon, preset = (value or "").partition(":")
    if not name or Path(name).is_file() or name not in config_names():
        return list(argv)
    path = f"{resources.files(PACKAGE) / name}.py{colon}{preset}"
    return [
        f"--config={path}"
        if arg in (f"--config={value}", f"-config={value}")
        else path
        if arg == value and argv[number - 1] in ("--config", "-config")
        else arg
        for number, arg in enumerate(argv)
    ]


def _value(argv: Sequence[str], flag: str) -> str | None:
    for number, arg in enumerate(argv):
        name, equals, value = arg.lstrip("-").partition("=")
        if name == flag and arg.startswith("-"):
            return value if equals else [*argv[number + 1 :], None][0]
    return None


def parse_flags(argv: Sequence[str]) -> list[str]:
    """absl's parser, with every complaint in one line.

    Raises:
      UserError: for an unknown flag, key, preset or file, or a value of the wrong type.
    """
    with _as_user_errors():
        rest = flags.FLAGS(argv)
        if flags.FLAGS["config"].value is not None:
            flags.FLAGS.config.keys()  # a config file that was not found complains only here
        return rest


@contextmanager
def _as_user_errors() -> Iterator[None]:
    """What absl and ml_collections raise, in one line."""
    try:
        yield
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise UserError(_shorten(error)) from error


def _shorten(error: Exception) -> str:
    unknown = isinstance(error, AttributeError | KeyError)
    while error.args and isinstance(error.args[0], Exception):
        error = error.args[0]  # an exception around another one
    text = str(error.args[0] if error.args else error).replace("\\n", "\n")
    lines = [_unquoted(line.strip(" \t\\")) for line in text.splitlines()]
    lines = [line for line in lines if line] or [type(error).__name__]
    if "Error whilst parsing config file" in text:
        return lines[-1].rpartition("Error: ")[2]  # comes with a traceback, and the reason last
    if "Failed loading config file" in text:
        path = lines[-1].rpartition(": ")[2].strip("'")
        return f"config file not found: {path}; they are in configs/"
    if unknown:
        return f"unknown config key {lines[0]}; {' '.join(lines[1:]) or 'see docs/configs.md'}"
    return " ".join(lines)


def _unquoted(line: str) -> str:
    """A line without the quotes around it, if there are any."""
    quoted = len(line) > 1 and line[0] == line[-1] and line[0] in "'\""
    return line[1:-1] if quoted else line
