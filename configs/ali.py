"""ALI (thesis section 2.3.2; Dumoulin et al. 2017): BiGAN with a stochastic encoder."""

import ml_collections

from semad.configs import bigan


def get_config(preset: str = "thesis") -> ml_collections.ConfigDict:
    config = bigan.get_config(preset)
    config.method = "ali"
    return config
