"""Autoencoder (thesis section 2.2.2), networks of tables A1 and A2."""

import ml_collections

from semad.configs import common


def get_config(preset: str = "thesis") -> ml_collections.ConfigDict:
    config = common.get_config(preset)
    config.method = "autoencoder"
    config.train.ema_share = 1 / 9  # no game, in which a wide average would hurt
    # Appendix A has no autoencoder, and its rates are for a game: Adam's usual values instead.
    config.lr.encoder = 1e-3
    config.lr.decoder = 1e-3
    config.optim.beta1 = 0.9
    config.model.form = "undercomplete"  # or regularised, or denoising
    config.loss = ml_collections.ConfigDict()
    config.loss.reconstruction = "l2"  # l1 | l2 (equation 2.31) | ssim
    config.loss.noise = 0.2  # denoising: σ of the noise on the input
    config.loss.sparsity = 0.01  # regularised: weight of the code's mean absolute value
    return config
