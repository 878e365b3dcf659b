"""Config values given as text, such as `lr.generator=1e-4`, for many configs at once."""

import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import ml_collections

from semad.config_rules import OPTIONAL
from semad.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
"""A clone of semad, which has configs/ beside the package."""

_NO_SYSTEMS = ("common", "__init__")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


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
    if folder not in ("", "configs") or not (ROOT / "configs" / f"{stem}.py").is_file():
        raise UserError(f"there is no system {name}; they are in configs/")
    if stem in _NO_SYSTEMS:
        raise UserError(f"configs/{stem}.py is no system, but what all share")
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    module = import_module(f"configs.{stem}")
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
    for assignment in assignments:
        key, equals, text = (part.strip() for part in assignment.partition("="))
        if not equals:
            raise UserError(f"{assignment!r} is no <key>=<value>, such as train.epochs=3")
        section, name = _place(changed, key)
        section[name] = _value(OPTIONAL.get(key, type(section[name])), key, text)
    return changed


def _place(config: ml_collections.ConfigDict, key: str) -> tuple[ml_collections.ConfigDict, str]:
    *path, name = key.split(".")
    section = config
    for part in path:
        section = section.get(part) if isinstance(section, ml_collections.ConfigDict) else None
    if not isinstance(section, ml_collections.ConfigDict) or name not in section:
        raise UserError(f"unknown config key {key!r}; see configs/common.py")
    if isinstance(section.get(name), ml_collections.ConfigDict):
        raise UserError(
            f"config.{key} is a section; name one of its keys: {', '.join(section[name])}"
        )
    return section, name


def _value(kind: type, key: str, text: str) -> bool | int | float | str | None:
    if text == "None":
        return None
    try:
        if kind is bool:
            return _TRUTH[text.lower()]
        return kind(text)
    except (ValueError, KeyError) as error:
        raise UserError(f"config.{key} is {text!r}; it must be a {kind.__name__}") from error
