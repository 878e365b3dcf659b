"""ALAD (thesis section 2.3.3, table A3)."""

import ml_collections

from semad.configs import common

DISCRIMINATORS = ("discriminator_xz", "discriminator_xx", "discriminator_zz")


def get_config(preset: str = "thesis") -> ml_collections.ConfigDict:
    config = common.get_config(preset)
    config.method = "alad"
    config.lr.generator = 5e-5
    config.lr.encoder = 1e-6
    for name in DISCRIMINATORS:
        config.lr[name] = 1e-6
    config.model.spectral_norm = True  # discriminators and encoder
    config.model.allow_xx = True  # the game of (x, x) against (x, G(E(x)))
    config.model.allow_zz = True  # the game of (z, z) against (z, E(G(z)))
    if preset != "thesis":  # far fewer steps: the usual rate of DCGAN (Radford et al. 2016)
        for name in config.lr:
            config.lr[name] = 2e-4
    return config
