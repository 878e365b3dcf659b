"""Variational autoencoder (Kingma and Welling 2014), networks of tables A1 and A2."""

import ml_collections

from semad.configs import common


def get_config(preset: str = "thesis") -> ml_collections.ConfigDict:
    config = common.get_config(preset)
    config.method = "vae"
    config.train.ema_share = 1 / 9  # no game, in which a wide average would hurt
    config.lr.encoder = 1e-3  # Adam's usual values, as for the autoencoder
    config.lr.decoder = 1e-3
    config.optim.beta1 = 0.9
    config.loss = ml_collections.ConfigDict()
    config.loss.reconstruction = "l2"  # l1 | l2 | ssim
    config.loss.beta = 0.02  # 2σ²: residuals of .1, in a range of 2, count as noise
    return config
