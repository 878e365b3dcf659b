"""The systems, by name. To add one: a file here, a config in `configs/`, a line in this dict."""

from collections.abc import Callable

import ml_collections

from semad.methods import anogan, autoencoder, bigan
from semad.types import Method

METHODS: dict[str, Callable[[ml_collections.ConfigDict], Method]] = {
    "anogan": anogan.build,
    "autoencoder": autoencoder.build,
    "bigan": bigan.build,
}
