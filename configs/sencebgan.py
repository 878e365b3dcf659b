"""SENCEBGAN (thesis section 4.4): EBGAN, then two encoders in sequence."""

import ml_collections

from semad.configs import encebgan


def get_config(preset: str = "thesis") -> ml_collections.ConfigDict:
    config = encebgan.get_config(preset)
    config.method = "sencebgan"
    config.lr.return_encoder = config.lr.encoder
    for name in ("discriminator_xx", "discriminator_zz"):
        config.lr[name] = 1e-6 if preset == "thesis" else config.lr.encoder
    config.loss.encoder_objective = "decodings"
    config.loss.similarity = 0.1  # weight of ‖Enc(x) − Enc(G(z))‖₂ in the generator's loss
    config.model.allow_xx = False  # ALAD's D_xx in phase `encoder`
    config.model.allow_zz = False  # ALAD's D_zz in phase `return`
    config.model.spectral_norm = True  # of those two
    config.train.return_epochs = 1
    if preset == "thesis":  # the epochs of the thesis' own runs
        config.train.epochs = config.train.encoder_epochs = 100
        config.train.return_epochs = 400
    if preset == "small":
        config.train.epochs, config.train.encoder_epochs = 2, 2
    if preset == "medium":
        config.train.epochs = config.train.encoder_epochs = config.train.return_epochs = 2
    return config
