"""BiGAN (thesis section 2.3.2, table A2). The finished thesis reports an AUROC of .627."""

import ml_collections

from semad.configs import common


def get_config(preset: str = "thesis") -> ml_collections.ConfigDict:
    config = common.get_config(preset)
    config.method = "bigan"
    config.lr.generator = 5e-5
    config.lr.encoder = 5e-5  # the generator's
    config.lr.discriminator = 1e-6
    config.loss = ml_collections.ConfigDict()
    config.loss.feature_matching = 0.1  # of the generator; 0 in the papers
    config.score.reconstruction_weight = 0.75  # w of the score; Zenati et al.: 0.9
    config.score.degree = 1  # of the norms: 1 or 2
    if preset != "thesis":  # far fewer steps: the usual rate of DCGAN (Radford et al. 2016)
        config.lr.generator = config.lr.encoder = config.lr.discriminator = 2e-4
    if preset == "medium":
        # Slower than the others, as in the thesis: with their rate D tells standardised patches,
        # which G's tanh cannot reach, apart from step 1,200 on, and its loss falls to .15.
        config.lr.discriminator = 5e-5
    return config
