"""From a ConfigDict to `Settings`, and what the rows of the schema say of any key."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import ml_collections
from ml_collections import config_dict

from semad.config.knob import ABSENT, Knob, shown
from semad.config.schema import RATE, SECTIONS, TRICKS, Settings
from semad.errors import UserError

RATES = "lr"
"""The section whose keys are the nets of a system."""


def rows() -> Iterator[tuple[str, Knob]]:
    """Every dotted key with its row, in the schema's order; `lr.<net>` stands for all nets."""
    yield from Settings.KNOBS.items()
    yield f"{RATES}.<net>", RATE
    for section, keys in SECTIONS.items():
        for name, row in keys.KNOBS.items():
            yield f"{section}.{name}", row


def row_of(key: str) -> Knob | None:
    """The row of a dotted key; None for a key that does not exist."""
    section, _, name = key.rpartition(".")
    if section == RATES:
        return RATE
    known = SECTIONS[section].KNOBS if section in SECTIONS else {} if section else Settings.KNOBS
    return known.get(name)


def defaults() -> ml_collections.ConfigDict:
    """A config of the keys that all systems share, with their defaults, and without a system."""
    config = ml_collections.ConfigDict({RATES: {}})
    for key, row in rows():
        if row.default is ABSENT:
            continue
        section, _, name = key.rpartition(".")
        if section and section not in config:
            config[section] = ml_collections.ConfigDict()
        set_value(config[section] if section else config, name, row, row.default)
    return config


def set_value(section: ml_collections.ConfigDict, name: str, row: Knob, value: Any) -> None:
    """Sets a key; one that may be unset stays typed, so that a flag of the wrong type raises."""
    if row.optional:
        section[name] = config_dict.placeholder(row.kind)
    section[name] = value


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted key -> value, of a ConfigDict, a dict or Settings."""
    flat: dict[str, Any] = {}
    if isinstance(config, Settings):
        flat |= dict(config)
        for section in SECTIONS:
            flat |= {f"{section}.{name}": value for name, value in vars(config)[section]}
        return flat | {f"{RATES}.{net}": rate for net, rate in config.lr.items()}
    for key, value in config.items():
        if isinstance(value, ml_collections.ConfigDict | dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flatten`, as plain dicts; empty sections are left out."""
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        section, _, name = key.rpartition(".")
        (nested.setdefault(section, {}) if section else nested)[name] = value
    return nested


def resolve(config: ml_collections.ConfigDict | Mapping[str, Any]) -> Settings:
    """Checks every value of a config, and returns it as immutable, typed settings.

    Args:
      config: a ConfigDict, or dotted keys with values.

    Raises:
      UserError: for a key that does not exist, one that is missing, or a value out of place, with
        what would be right.
    """
    try:
        values = flatten(config)
    except RecursionError as error:
        raise UserError("the config is nested without an end; start from configs/") from error
    method = str(values.get("method", ""))
    checked: dict[str, Any] = {}
    for key, value in values.items():
        row = row_of(key)
        if row is None:
            raise UserError(f"unknown config key {shown(key)}; semad --help lists all")
        checked[key] = row.check(key, value, method)
    for key, row in rows():
        if row.default is not ABSENT and key not in checked:
            raise UserError(f"config.{key} is missing; start from configs/common.py")
    trick_combinations(checked["population.tricks"])
    return _settings(checked)


def _settings(flat: Mapping[str, Any]) -> Settings:
    sections: dict[str, dict[str, Any]] = {name: {} for name in (*SECTIONS, RATES, "")}
    for key, value in flat.items():
        section, _, name = key.rpartition(".")
        sections[section][name] = value
    parts: dict[str, Any] = {name: kind(sections[name]) for name, kind in SECTIONS.items()}
    return Settings(sections[""] | parts | {RATES: MappingProxyType(sections[RATES])})


def with_values(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Settings with other values of dotted keys.

    Raises:
      UserError: as `resolve`.
    """
    return resolve(flatten(settings) | dict(changes))


def trick_combinations(tricks: str) -> list[str]:
    """The combinations of training tricks that `config.population.tricks` names.

    Args:
      tricks: `none`, `all`, or a list such as `IN,SL+LF` or `('IN', 'SL+LF')`.

    Raises:
      UserError: for a combination that does not exist.
    """
    if tricks == "all":
        return list(TRICKS)
    names = [name.strip(" '\"()[]") for name in tricks.split(",")]
    chosen = [name for name in names if name]
    for name in chosen:
        if name not in TRICKS:
            raise UserError(
                f"config.population.tricks has {shown(name)}; it must be all, or a list of: "
                + ", ".join(TRICKS)
            )
    if not chosen or len(set(chosen)) < len(chosen):
        raise UserError(
            f"config.population.tricks is {shown(tricks)}; name every combination once, or none"
        )
    return chosen


def optional_rows() -> dict[str, Knob]:
    """The rows of keys that may be unset."""
    return {key: row for key, row in rows() if row.optional}


def changeable(key: str) -> bool:
    """Whether a run may change a key when it goes on or is evaluated."""
    row = row_of(key)
    return row is not None and row.changeable


def traced_keys(settings: Settings) -> list[str]:
    """The keys of these settings in which the members of a population may differ."""
    return sorted(key for key in flatten(settings) if (row := row_of(key)) and row.traced)
