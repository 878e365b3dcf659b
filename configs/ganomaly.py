"""GANomaly (thesis section 2.3.4, table A4)."""

import ml_collections

from semad.configs import common


def get_config(preset: str = "thesis") -> ml_collections.ConfigDict:
    config = common.get_config(preset)
    config.method = "ganomaly"
    config.lr.encoder = config.lr.decoder = config.lr.encoder2 = 5e-5  # together the generator
    config.lr.discriminator = 1e-6
    config.model.bn_epsilon = 1e-6
    config.model.spectral_norm = True  # of all convolutions but the decoder's
    config.loss = ml_collections.ConfigDict()
    config.loss.adversarial = 1.0  # w_adv, w_con, w_enc of equation 2.94
    config.loss.contextual = 50.0
    config.loss.encoder = 1.0
    config.loss.adversarial_term = "cross_entropy"  # thesis; or features (equation 2.91, paper)
    config.loss.reduction = "sum"  # over pixels and latents (thesis); or mean (paper)
    config.loss.reconstruction = "l1"  # of the contextual term: l1 (equation 2.92) | l2 | ssim
    config.loss.noise = 0.0  # denoising variant: σ of the noise on the generator's input
    if preset != "thesis":  # far fewer steps: the usual rate of DCGAN (Radford et al. 2016)
        for name in config.lr:
            config.lr[name] = 2e-4
    return config
