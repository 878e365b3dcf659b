"""The systems, by name. To add one: a file here, a config in `configs/`, a line in this dict."""

from collections.abc import Callable

from semad.config.schema import Settings
from semad.methods import (
    alad,
    ali,
    anogan,
    autoencoder,
    bigan,
    dense_discriminator,
    ebgan,
    encebgan,
    fanogan,
    ganomaly,
    inpainting,
    sencebgan,
    skip_ganomaly,
    vae,
)
from semad.types import Method

METHODS: dict[str, Callable[[Settings], Method]] = {
    "alad": alad.build,
    "ali": ali.build,
    "anogan": anogan.build,
    "autoencoder": autoencoder.build,
    "bigan": bigan.build,
    "dense_discriminator": dense_discriminator.build,
    "ebgan": ebgan.build,
    "encebgan": encebgan.build,
    "fanogan": fanogan.build,
    "ganomaly": ganomaly.build,
    "inpainting": inpainting.build,
    "sencebgan": sencebgan.build,
    "skip_ganomaly": skip_ganomaly.build,
    "vae": vae.build,
}
