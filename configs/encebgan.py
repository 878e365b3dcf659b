"""ENCEBGAN (thesis section 4.3): EBGAN, then an encoder."""

import ml_collections

from semad.configs import ebgan


def get_config(preset: str = "thesis") -> ml_collections.ConfigDict:
    config = ebgan.get_config(preset)
    config.method = "encebgan"
    config.lr.encoder = 5e-5 if preset == "thesis" else 2e-4
    config.loss.encoder_objective = "embeddings"  # or decodings, or energy: see the method
    config.loss.consistency = 0.4  # weight of that term beside the reconstruction's
    config.loss.reconstruction = "l2"  # of the encoder's loss: l1 | l2 (a norm) | ssim
    config.train.encoder_epochs = 400
    if preset == "small":
        config.train.epochs, config.train.encoder_epochs = 4, 2
    if preset == "medium":
        config.train.epochs, config.train.encoder_epochs = 3, 3
    if preset == "smoke":
        config.train.epochs = config.train.encoder_epochs = 1
    return config
