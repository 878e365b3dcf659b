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


def normalisation_of(config: ConfigDict) -> str:
    """How the networks see a patch of the data that `config` names, a key of `NORMALISATIONS`.

    `auto` standardises patches of micrographs. Items of one-vs-rest sets keep their range: digits
    on a black ground would be standardised far beyond what a generator's tanh reaches, and their
    discriminator is done with the game at once (docs/reproduction.md).
    """
    if config.normalisation != "auto":
        return config.normalisation
    return "range" if config.name == "digits" or _in_tfds(config) else "standardise"


def _in_tfds(config: ConfigDict) -> bool:
    return config.name.startswith("tfds:")


def load(config: ConfigDict) -> Source:
    """Loads the source that `config.name` names, `tfds:<name>` included; `config` is the data part.

    Raises:
      UserError: the name is unknown, or the source cannot be loaded as configured.
    """
    if _in_tfds(config):
        return one_vs_rest.load(config)
    if config.name not in SOURCES:
        valid = ", ".join([*SOURCES, "tfds:<name>"])
        raise UserError(f"unknown data set config.data.name={config.name!r}; valid: {valid}")
    return SOURCES[config.name](config)
