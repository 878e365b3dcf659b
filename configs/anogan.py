"""AnoGAN (thesis section 2.3.1, table A1; the search of Schlegl et al. 2017)."""

import ml_collections

from configs import common


def get_config(preset: str = "thesis") -> ml_collections.ConfigDict:
    config = common.get_config(preset)
    config.method = "anogan"
    config.lr.generator = 5e-5
    config.lr.discriminator = 1e-6
    config.search = ml_collections.ConfigDict()
    config.search.steps = 500  # moves of z per image
    config.search.lr = 1e-3
    config.search.weight = 0.1  # λ, the weight of the discrimination term
    config.search.discrimination = "features"  # or cross_entropy
    if preset != "thesis":  # far fewer steps: the usual rate of DCGAN (Radford et al. 2016)
        config.lr.generator = config.lr.discriminator = 2e-4
    if preset in ("medium", "small"):  # the search is the cost: a subset, and n_test says so
        config.eval.max_items = 1024 if preset == "medium" else 256
        config.eval.max_holdout_items = 128 if preset == "medium" else 64
    if preset == "smoke":
        config.search.steps = 20
        config.eval.max_items = 128
        config.eval.max_holdout_items = 64
    return config
