"""config.json of a workdir: written once, read by every later call, compared on resumption."""

import json
from pathlib import Path

import ml_collections

from semad.config.migration import check_networks, is_older, migrate
from semad.config.schema import Settings
from semad.config.settings import (
    changeable,
    flatten,
    nest,
    optional_rows,
    set_value,
    trick_combinations,
)
from semad.errors import UserError
from semad.utils.files import write_text

CONFIG_FILE = "config.json"


def load(workdir: Path) -> ml_collections.ConfigDict:
    """The config that a workdir was trained with, with today's keys.

    Raises:
      UserError: when the workdir holds no run, or one of other networks.
    """
    path = workdir / CONFIG_FILE
    if not path.is_file():
        raise UserError(
            f"{workdir}: no run here ({CONFIG_FILE} is missing); train one first: "
            "python main.py --config configs/bigan.py:small --workdir ..."
        )
    try:
        stored = json.loads(path.read_text())
        check_networks(path, stored)
        migrate(stored)
        config = ml_collections.ConfigDict(stored)
        for key, row in optional_rows().items():
            section, name = key.split(".")
            if section in config and config[section][name] is None:
                del config[section][name]
                set_value(config[section], name, row, None)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: no config of semad ({error}); restore it, or train") from error
    return config


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
    if path.is_file() and is_older(json.loads(path.read_text())):
        raise UserError(
            f"{workdir}: begun by an older semad, whose random numbers were others, so it cannot "
            "go on to the same end; train in a new --workdir (what this one has can be evaluated)"
        )


def check_same_run(workdir: Path, settings: Settings, prolonged: str) -> None:
    """Checks that a workdir's run may go on with these settings.

    Args:
      workdir: of the run.
      settings: that are asked for.
      prolonged: the key of the epochs of the last phase. More of them make no other run, unless
        input noise (IN) goes by the length of the run.

    Raises:
      UserError: when they differ in a key that makes it another run.
    """
    stored, wanted = flatten(load(workdir)), flatten(settings)
    noise = "IN" in "+".join(trick_combinations(settings.population.tricks))
    for key in sorted(stored.keys() | wanted.keys(), key=lambda key: (key != "method", key)):
        free = changeable(key) or (key == prolonged and not noise)
        if free or stored.get(key) == wanted.get(key):
            continue
        raise UserError(
            f"{workdir} holds a run with config.{key} = {stored.get(key)!r}, not "
            f"{wanted.get(key)!r}; give another --workdir, or the same value"
        )
