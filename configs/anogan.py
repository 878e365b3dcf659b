"""AnoGAN (thesis section 2.3.1, table A1; Schlegl et al. 2017), with an encoder for its search."""

import ml_collections
from ml_collections import config_dict

from semad.configs import common


def get_config(preset: str = "thesis") -> ml_collections.ConfigDict:
    config = common.get_config(preset)
    config.method = "anogan"
    config.lr.generator = 5e-5
    config.lr.discriminator = 1e-6
    config.search = ml_collections.ConfigDict()
    config.search.recipe = "encoder"  # start from E(x); or published, annealed: from one draw
    # Unset, these three are the recipe's (semad.methods.anogan.RECIPES).
    config.search.steps = config_dict.placeholder(int)  # the most evaluations of the gradient
    config.search.lr = config_dict.placeholder(float)
    config.search.tolerance = config_dict.placeholder(float)  # least gain of 5 steps, a share
    config.search.restarts = 0  # further starts, drawn from N(0, I); the best end counts
    config.search.weight = 0.1  # λ, the weight of the discrimination term
    config.search.discrimination = "features"  # or cross_entropy
    config.search.together = 0  # latents that move at once, bounds memory; 0: by backend
    config.search.precision = "float32"  # of the search alone, not of the score; or bfloat16
    config.lr.encoder = 5e-5
    config.train.encoder_epochs = config.train.epochs
    if preset != "thesis":  # far fewer steps: the usual rate of DCGAN (Radford et al. 2016)
        config.lr.generator = 2e-4
        # Slower: with G's rate D tells standardised patches, which G's tanh cannot reach, apart for
        # good, and G collapses; with a fifth of it D learns nothing (docs/search.md).
        config.lr.discriminator = 1e-4
        config.lr.encoder = 1e-3
        config.train.encoder_epochs = 2 * config.train.epochs  # what E learns, no search need find
    if preset == "medium":  # six epochs in all
        config.train.epochs, config.train.encoder_epochs = 4, 2
        config.lr.discriminator = 5e-5  # of so many steps
    return config
