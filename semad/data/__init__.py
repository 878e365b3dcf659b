"""The data sources, by the name that `config.data.name` gives."""

from ml_collections import ConfigDict

from semad.data import digits, folder, nanofibres, nanotwice, one_vs_rest
from semad.data.source import Source
from semad.errors import UserError

SOURCES = {
    "nanofibres": nanofibres.load,
    "nanotwice": nanotwice.load,
    "folder": folder.load,
    "digits": digits.load,
}


def load(config: ConfigDict) -> Source:
    """Loads the source that `config.name` names, `tfds:<name>` included; `config` is the data part.

    Raises:
      UserError: the name is unknown, or the source cannot be loaded as configured.
    """
    if config.name.startswith("tfds:"):
        return one_vs_rest.load(config)
    if config.name not in SOURCES:
        valid = ", ".join([*SOURCES, "tfds:<name>"])
        raise UserError(f"unknown data set config.data.name={config.name!r}; valid: {valid}")
    return SOURCES[config.name](config)
