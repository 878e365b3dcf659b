"""The data sources, by the name that `config.data.name` gives. To add one: a file, and a line."""

from collections.abc import Callable

from semad.config.schema import DataSettings
from semad.data.source import Source
from semad.data.sources import digits, folder, nanofibres, nanotwice, one_vs_rest
from semad.errors import UserError
from semad.utils.paths import expanded

SOURCES: dict[str, Callable[[DataSettings], Source]] = {
    "nanofibres": nanofibres.load,
    "nanotwice": nanotwice.load,
    "folder": folder.load,
    "digits": digits.load,
}


def load(data: DataSettings) -> Source:
    """Loads the source that `config.data.name` names, `tfds:<name>` included.

    Raises:
      UserError: the name is unknown, or the source cannot be loaded as configured.
    """
    data = data.replace(dir=str(expanded("config.data.dir", data.dir)) if data.dir else data.dir)
    if data.name.startswith("tfds:"):
        return one_vs_rest.load(data)
    if data.name not in SOURCES:
        valid = ", ".join([*SOURCES, "tfds:<name>"])
        raise UserError(f"unknown data set config.data.name={data.name!r}; valid: {valid}")
    return SOURCES[data.name](data)
