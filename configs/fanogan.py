"""f-AnoGAN (thesis section 3.1; Schlegl et al. 2019)."""

import ml_collections

from semad.configs import common


def get_config(preset: str = "thesis") -> ml_collections.ConfigDict:
    config = common.get_config(preset)
    config.method = "fanogan"
    # The thesis has no table for it: the rates and betas of the penalised critic's paper.
    config.lr.generator = config.lr.discriminator = config.lr.encoder = 1e-4
    config.optim.beta1, config.optim.beta2 = 0.0, 0.9
    config.loss = ml_collections.ConfigDict()
    config.loss.objective = "wgan_gp"  # or wgan, or gan
    config.loss.penalty = 10.0  # wgan_gp: λ
    config.loss.clip = 0.01  # wgan: the largest absolute weight of the critic
    config.loss.critic_updates = 5  # per step; with `gan`, 1 and a beta1 of 0.5 are usual
    config.loss.generator_updates = 1
    config.loss.encoder_objective = "izi_f"  # or izi, or ziz
    config.loss.kappa = 1.0  # izi_f: weight of the features, in the loss and in the score
    config.loss.reconstruction = "l2"  # of the encoder's loss: l1 | l2 (equation 3.1) | ssim
    config.train.encoder_epochs = 50
    if preset in ("medium", "small"):
        config.train.epochs = config.train.encoder_epochs = 3
    if preset == "smoke":
        config.train.epochs = config.train.encoder_epochs = 1
    return config
