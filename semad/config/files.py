"""config.json of a workdir: written once, read by every later call, compared on resumption."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import ml_collections

from semad.config.knob import shown
from semad.config.migration import check_networks, is_older, migrate
from semad.config.schema import Settings
from semad.config.settings import (
    changeable,
    flatten,
    nest,
    optional_rows,
    resolve,
    set_value,
    trick_combinations,
)
from semad.errors import UserError
from semad.utils.files import write_text

CONFIG_FILE = "config.json"

_LARGEST = 2**20
"""Bytes of a config.json; that of a run has some thousand."""

_BROKEN = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)
"""What a file that holds something else raises, here or in ml_collections."""

_REPAIR = "restore it, or train in a new --workdir"


def load(workdir: Path) -> ml_collections.ConfigDict:
    """The config that a workdir was trained with, with today's keys.

    Raises:
      UserError: when the workdir holds no run, one of other networks, or a config.json that is
        damaged or does not resolve.
    """
    path = workdir / CONFIG_FILE
    if not path.is_file():
        raise UserError(
            f"{workdir}: no run here ({CONFIG_FILE} is missing); train one first: "
            "semad --config bigan:small --workdir ..."
        )
    stored = _read(path)
    try:
        check_networks(path, stored)
        migrate(stored)
        config = ml_collections.ConfigDict(stored)
        for key, row in optional_rows().items():
            section, name = key.split(".")
            if section in config and config[section][name] is None:
                del config[section][name]
                set_value(config[section], name, row, None)
    except _BROKEN as error:
        raise UserError(f"{path}: no config of semad ({_brief(error)}); {_REPAIR}") from error
    try:
        resolve(config)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return config


def _read(path: Path) -> dict[str, Any]:
    """What a config.json holds; nothing in it is dropped or believed unchecked.

    Raises:
      UserError: when it cannot be read, or is no JSON object without repeated keys.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"more than {_LARGEST:,} bytes")
        stored = json.loads(
            path.read_bytes(), object_pairs_hook=_without_repeats, parse_constant=_no_constant
        )
        if not isinstance(stored, dict):
            raise ValueError(f"a {type(stored).__name__}, where an object belongs")
    except (OSError, *_BROKEN) as error:
        raise UserError(f"{path}: no config of semad ({_brief(error)}); {_REPAIR}") from error
    return stored


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON.

    Raises:
      ValueError: for a key that is there twice: of two values neither is to be believed.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"{shown(max(keys, key=keys.count))} is there twice")
    return values


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no value")


def _brief(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    text = error.strerror if isinstance(error, OSError) else str(error)
    return " ".join((text or type(error).__name__).split())[:200]


def store(workdir: Path, settings: Settings) -> None:
    """Writes config.json."""
    kept = flatten(settings) | {"eval.purpose": None}  # of this call, not of later evaluations
    write_text(workdir / CONFIG_FILE, json.dumps(nest(kept), indent=2) + "\n")


def check_streams(workdir: Path) -> None:
    """Checks that a run which is to train on draws the random numbers that it began with.

    Raises:
      UserError: for one that an older semad began, whose streams had numbers, not names.
    """
    path = workdir / CONFIG_FILE
    if not path.is_file():
        return
    load(workdir)  # raises for one that is damaged
    if is_older(_read(path)):
        raise UserError(
            f"{workdir}: begun by an older semad, whose random numbers were others, so it cannot "
            "go on to the same end; train in a new --workdir (what this one has can be evaluated)"
        )


def check_same_run(
    workdir: Path, settings: Settings, prolonged: str, free_keys: Collection[str] = ()
) -> None:
    """Checks that a workdir's run may go on with these settings.

    Args:
      workdir: of the run.
      settings: that are asked for.
      prolonged: the key of the epochs of the last phase, empty if its learning rates cool down.
        More of them make no other run, unless input noise (IN) goes by the length of the run.
      free_keys: others that may differ, as after a divergence.

    Raises:
      UserError: when they differ in a key that makes it another run.
    """
    stored, wanted = flatten(load(workdir)), flatten(settings)
    noise = "IN" in "+".join(trick_combinations(settings.population.tricks))
    for key in sorted(stored.keys() | wanted.keys(), key=lambda key: (key != "method", key)):
        free = changeable(key) or key in free_keys or (key == prolonged and not noise)
        if free or stored.get(key) == wanted.get(key):
            continue
        raise UserError(
            f"{workdir} holds a run with config.{key} = {shown(stored.get(key))}, not "
            f"{shown(wanted.get(key))}; give another --workdir, or the same value"
        )
