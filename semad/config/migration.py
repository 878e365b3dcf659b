"""Configs of older workdirs, brought to today's keys."""

from pathlib import Path
from typing import Any

from semad.config.knob import ABSENT
from semad.config.schema import SECTIONS
from semad.config.settings import rows
from semad.errors import UserError

REBUILT = ("ali", "bigan", "ebgan", "encebgan", "ganomaly", "sencebgan", "skip_ganomaly")
"""Systems whose networks changed when the finished thesis was followed: a run without the key
`data.normalisation` is of the others, and its weights do not fit these."""

REMOVED = {"loss": ("embedding",)}
"""Keys that older configs have and nothing reads any more."""


def is_older(stored: dict[str, Any]) -> bool:
    """Whether a stored config is from before the finished thesis was followed."""
    return "normalisation" not in stored["data"]


def check_networks(path: Path, stored: dict[str, Any]) -> None:
    """Checks that the weights of a stored run fit the networks of this version.

    Raises:
      UserError: when they fit none.
    """
    if stored["method"] in REBUILT and is_older(stored):
        raise UserError(
            f"{path}: a run of {stored['method']} by an older semad, whose networks were others; "
            "use the commit that versions.json beside it names, or train again in a new --workdir"
        )


def migrate(stored: dict[str, Any]) -> None:
    """Adds the keys that came later, with the values that leave the run what it was.

    Args:
      stored: what config.json holds; changed in place.
    """
    # Outlines had the images' rate before they had a rate of their own.
    stored["score"].setdefault("pixel_rate", stored["score"]["threshold_rate"])
    # The data bar was left out of new images alone.
    stored["data"].setdefault("data_bar", stored["score"].pop("data_bar", 0))
    # Mirror images were all or none.
    if isinstance(flips := stored["score"].get("flips"), bool):
        stored["score"]["flips"] = "all" if flips else "none"
    if stored["score"].get("pooling") == "tenth":  # of the pixels, where it is 3 % now
        stored["score"]["pooling"] = "top"
    if stored["method"] == "dense_discriminator":  # the net came later
        stored["lr"].setdefault("density", 3e-2)
    for section, names in REMOVED.items():
        for name in names:
            stored.get(section, {}).pop(name, None)
    for key, row in rows():
        section, _, name = key.rpartition(".")
        value = row.older_of.get(stored["method"], row.older)
        known = not section or section in stored  # some sections are of some systems alone
        if value is not ABSENT and known:
            (stored[section] if section else stored).setdefault(name, value)


def migrated_keys(method: str) -> dict[str, Any]:
    """The keys that `migrate` adds to a config of a system, with their values, for tests."""
    values = {key: row.older_of.get(method, row.older) for key, row in rows()}
    return {
        key: value
        for key, value in values.items()
        if value is not ABSENT and (key.partition(".")[0] in SECTIONS or "." not in key)
    }
