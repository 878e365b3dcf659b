"""The flag `--config`: a file, a name or a workdir's own config, and every complaint in one line.

JAX is not imported here: help and a mistyped flag are answered without the seconds that it takes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from semad.config import files
from semad.config.overrides import PACKAGE, config_names
from semad.config.reference import flags_help
from semad.errors import UserError
from semad.utils.paths import expanded

_HELP = {f"{dash}{name}" for dash in ["-", "--"] for name in ("help", "helpshort", "helpfull")}
_HELP |= {"-h", "-?", "--helpxml"}


def asks_for_help(argv: Sequence[str]) -> bool:
    """Whether one of the arguments is absl's `--help`, in any of its forms."""
    return any(arg in _HELP for arg in argv[1:])


def define_config_flag(argv: Sequence[str], values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines `--config`: a file or a name when one is given, else the workdir's own config.

    Raises:
      UserError: when there is neither, or for an unknown key or a value of the wrong type.
    """
    given = any(arg.split("=")[0] in ("--config", "-config") for arg in argv)
    if given or asks_for_help(argv):
        with _as_user_errors():  # a --flagfile is read here already
            config_flags.DEFINE_config_file("config", help_string=flags_help(), flag_values=values)
        return
    workdir = expanded("--workdir", _value(argv, "workdir"))
    if workdir is None:
        raise UserError(
            "neither --config nor --workdir given; for example: "
            "semad --config bigan:smoke --workdir runs/bigan"
        )
    config = files.load(workdir)
    with _as_user_errors():  # overrides are read here already
        config_flags.DEFINE_config_dict("config", config, flag_values=values)


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


def parse_flags(argv: Sequence[str], values: flags.FlagValues = flags.FLAGS) -> list[str]:
    """absl's parser, with every complaint in one line.

    Raises:
      UserError: for an unknown flag, key, preset or file, or a value of the wrong type.
    """
    with _as_user_errors():
        rest = values(argv)
        if values["config"].value is not None:
            values.config.keys()  # a config file that was not found complains only here
        return rest


@contextmanager
def _as_user_errors() -> Iterator[None]:
    """What absl, ml_collections and a user's own config file raise, in one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
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
        names = ", ".join(config_names())
        return f"config file not found: {path}; give a path to a file, or one of the names {names}"
    if "has no attribute 'get_config'" in text:
        example = resources.files(PACKAGE) / "bigan.py"
        return f"the config file has no function get_config; an example is {example}"
    if unknown:
        return f"unknown config key {lines[0]}; {' '.join(lines[1:]) or 'semad --help lists all'}"
    return " ".join(lines)


def _unquoted(line: str) -> str:
    """A line without the quotes around it, if there are any."""
    quoted = len(line) > 1 and line[0] == line[-1] and line[0] in "'\""
    return line[1:-1] if quoted else line
