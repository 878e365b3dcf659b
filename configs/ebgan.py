"""EBGAN (thesis section 3.2; Zhao et al. 2017)."""

import ml_collections

from semad.configs import common


def get_config(preset: str = "thesis") -> ml_collections.ConfigDict:
    config = common.get_config(preset)
    config.method = "ebgan"
    config.lr.generator = 1e-5
    config.lr.discriminator = 5e-6
    config.model.init = "xavier"
    config.loss = ml_collections.ConfigDict()
    config.loss.objective = "margin"  # or wgan, or wgan_gp
    config.loss.margin = 20.0  # m of equation 3.7, an L2 norm over the patch: 32 when standardised
    config.loss.pull_away = 0.25  # weight of equation 3.8
    config.loss.penalty = 10.0  # wgan_gp: λ
    config.loss.clip = 0.01  # wgan: the largest absolute weight of the discriminator
    config.loss.critic_updates = 1  # per step
    config.loss.generator_updates = 3
    if preset == "thesis":
        config.train.epochs = 100
    else:  # far fewer steps: the usual rate of DCGAN (Radford et al. 2016)
        config.lr.generator = config.lr.discriminator = 2e-4
    return config
