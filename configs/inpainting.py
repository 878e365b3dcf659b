"""Masked-block inpainting with a predicted variance (after RIAD, Zavrtanik et al. 2021)."""

import ml_collections

from semad.configs import common


def get_config(preset: str = "thesis") -> ml_collections.ConfigDict:
    config = common.get_config(preset)
    config.method = "inpainting"
    config.data.patch_size = 64
    config.data.normalisation = "range"
    config.model.bn_epsilon = 1e-5  # Flax's default
    config.train.ema_share = 1 / 9  # no game, in which a wide average would hurt
    config.lr.inpainter = 1e-3  # Adam's usual values
    config.lr.density = 3e-2
    config.optim.beta1 = 0.9
    config.score.window = 256
    config.model.components = 32  # Gaussians in the mixture
    config.train.density_epochs = 2
    if preset == "small":
        config.data.crops = 10_240
    return config
