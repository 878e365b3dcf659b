"""BiGAN (thesis section 2.3.2, table A2). The thesis reports an AUROC of .396 (table 52)."""

import ml_collections

from configs import common


def get_config(preset: str = "thesis") -> ml_collections.ConfigDict:
    config = common.get_config(preset)
    config.method = "bigan"
    config.lr.generator = 5e-5
    config.lr.encoder = 1e-6
    config.lr.discriminator = 1e-6
    config.loss = ml_collections.ConfigDict()
    config.loss.feature_matching = 0.0  # the thesis' code: 0.1
    config.score.reconstruction_weight = 0.9  # w of the score, the rest is the discriminator's
    config.score.degree = 1  # of the norms: 1 or 2
    if preset != "thesis":  # far fewer steps: the usual rate of DCGAN (Radford et al. 2016)
        config.lr.generator = config.lr.encoder = config.lr.discriminator = 2e-4
    return config
