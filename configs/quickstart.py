"""The README's first run: an autoencoder on embedded nanofibres, two minutes on two cores.

It is the floor that the adversarial systems must beat, and the quickest one to show all the files.
"""

import ml_collections

from configs import autoencoder


def get_config(preset: str = "small") -> ml_collections.ConfigDict:
    config = autoencoder.get_config(preset)
    config.data.name = "nanofibres"
    if preset == "small":
        config.data.crops_per_image = 512
        config.train.epochs = 10
    return config
