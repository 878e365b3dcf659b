"""Skip-GANomaly (thesis section 2.3.4; Akçay et al. 2019)."""

import ml_collections

from semad.configs import common


def get_config(preset: str = "thesis") -> ml_collections.ConfigDict:
    config = common.get_config(preset)
    config.method = "skip_ganomaly"
    config.lr.generator = 5e-5
    config.lr.discriminator = 5e-6
    config.model.init = "xavier"
    config.loss = ml_collections.ConfigDict()
    config.loss.adversarial = 1.0
    config.loss.contextual = 1.25  # of the sum; the paper has 40 of the mean, its code 50
    config.loss.latent = 1.0
    config.loss.reduction = "sum"  # over pixels and features (thesis); or mean (paper)
    config.loss.reconstruction = "l1"  # of the contextual term: l1 | l2 | ssim
    config.score.reconstruction_weight = 0.9  # λ of equation 2.97
    if preset != "thesis":  # far fewer steps: the usual rate of DCGAN (Radford et al. 2016)
        config.lr.generator = config.lr.discriminator = 2e-4
    return config
