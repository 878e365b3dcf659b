"""Autoencoder (thesis section 2.2.2), networks of tables A1 and A2."""

import ml_collections

from configs import common


def get_config(preset: str = "thesis") -> ml_collections.ConfigDict:
    config = common.get_config(preset)
    config.method = "autoencoder"
    # Appendix A has no autoencoder, and its rates are for a game: Adam's usual values instead.
    config.lr.encoder = 1e-3
    config.lr.decoder = 1e-3
    config.optim.beta1 = 0.9
    return config
