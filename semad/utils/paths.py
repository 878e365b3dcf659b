"""Paths as users write them."""

from pathlib import Path

from semad.errors import UserError


def expanded(name: str, value: str | None) -> Path | None:
    """The path of a flag or a config key, `~` as the home it stands for; None without a value.

    Shells leave `~` alone behind `--workdir=`.

    Raises:
      UserError: for the home of somebody who does not exist.
    """
    try:
        return Path(value).expanduser() if value else None
    except RuntimeError as error:
        raise UserError(f"{name} is {value}: there is no such home; give the whole path") from error
