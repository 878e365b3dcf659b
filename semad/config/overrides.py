"""Configs by name, and values given as text, such as `lr.generator=1e-4`."""

from collections.abc import Iterable
from importlib import import_module, resources
from pathlib import Path
from typing import Any

import ml_collections

from semad.config.knob import shown
from semad.config.schema import SECTIONS
from semad.config.settings import RATES, flatten, row_of
from semad.errors import UserError

PACKAGE = "semad.configs"
"""The folder `configs/`, as it is installed."""

_NO_SYSTEMS = ("common", "__init__")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


def config_names() -> list[str]:
    """The names of the configs that come with semad."""
    files = (Path(str(file)).name for file in resources.files(PACKAGE).iterdir())
    names = (name.removesuffix(".py") for name in files if name.endswith(".py"))
    return sorted(name for name in names if name not in _NO_SYSTEMS)


def named(
    name: str, preset: str = "", assignments: Iterable[str] = ()
) -> ml_collections.ConfigDict:
    """The config of `configs/<name>.py`, from wherever a script is run.

    Args:
      name: of the file; a path to it, or without its suffix.
      preset: the config's own default if empty.
      assignments: see `override`.

    Raises:
      UserError: when there is no such file or preset, or for what `override` does not take.
    """
    stem, folder = Path(name).stem, Path(name).parent.name
    if stem in _NO_SYSTEMS and folder in ("", "configs"):
        raise UserError(f"configs/{stem}.py is no system, but what all share")
    if folder not in ("", "configs") or stem not in config_names():
        raise UserError(f"there is no system {name}; there are: {', '.join(config_names())}")
    module = import_module(f"{PACKAGE}.{stem}")
    try:
        config = module.get_config(*([preset] if preset else []))
    except ValueError as error:
        raise UserError(f"configs/{stem}.py: {error}") from error
    return override(config, assignments)


def override(
    config: ml_collections.ConfigDict, assignments: Iterable[str]
) -> ml_collections.ConfigDict:
    """A copy of the config with values of its own keys and types.

    Args:
      config: any.
      assignments: `<key>=<value>` each, keys with dots; `None` empties a key that may be unset.

    Raises:
      UserError: for an unknown key, or a value of another type.
    """
    changed = config.copy_and_resolve_references()
    for key, value in parse(flatten(config), assignments).items():
        section, _, name = key.rpartition(".")
        (changed[section] if section else changed)[name] = value
    return changed


def parse(known: Iterable[str], assignments: Iterable[str]) -> dict[str, Any]:
    """Assignments as values of the keys' types.

    Args:
      known: the keys that there are.
      assignments: as for `override`.

    Raises:
      UserError: for an unknown key, or a value of another type.
    """
    keys, values = set(known), {}
    for assignment in assignments:
        key, equals, text = (part.strip() for part in assignment.partition("="))
        if not equals:
            raise UserError(f"{shown(assignment)} is no <key>=<value>, such as train.epochs=3")
        if key in (*SECTIONS, RATES):
            names = [name.partition(".")[2] for name in keys if name.startswith(f"{key}.")]
            raise UserError(
                f"config.{key} is a section; name one of its keys: {', '.join(sorted(names))}"
            )
        row = row_of(key)
        if key not in keys or row is None:
            raise UserError(f"unknown config key {shown(key)}; semad --help lists all")
        values[key] = _value(row.kind, key, text)
    return values


def _value(kind: type, key: str, text: str) -> bool | int | float | str | None:
    if text == "None":
        return None
    try:
        if kind is bool:
            return _TRUTH[text.lower()]
        return kind(text)
    except (ValueError, KeyError) as error:
        raise UserError(f"config.{key} is {shown(text)}; it must be a {kind.__name__}") from error
