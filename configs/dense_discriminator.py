"""The dense discriminator of spliced images (after CutPaste, Li et al. 2021)."""

import ml_collections

from semad.configs import common


def get_config(preset: str = "thesis") -> ml_collections.ConfigDict:
    config = common.get_config(preset)
    config.method = "dense_discriminator"
    config.data.patch_size = 64
    config.data.normalisation = "range"
    config.data.borders = 1.0  # else borders are seldom seen, and score high
    config.model.bn_epsilon = 1e-5  # Flax's default
    config.model.backbone = ""  # weights of a pretrained network whose features are seen too
    config.model.components = 8  # Gaussians in the mixture that is the features' density
    config.train.density_epochs = 0  # 0: no density
    config.train.teaching_epochs = 0  # set by --mode teach
    config.train.ema_share = 1 / 9  # no game, in which a wide average would hurt
    config.lr.discriminator = 1e-3
    config.lr.generator = 2e-4
    config.lr.density = 3e-2
    # Maps by patches as large as those it learnt on, overlapping by half. Windows of 128 pixels
    # show it surroundings that it never saw, and of the films, beads, clots and specks planted into
    # NanoTWICE's held-out strips it finds less then: average precision .60, by patches .64.
    config.score.stride = 32
    config.loss = ml_collections.ConfigDict()
    config.loss.contextual = 1.0  # how near the generator's anomalies should be to what was there
    if preset == "small":
        config.data.crops = 10_240
        config.train.epochs = 48
    config.splices = ml_collections.ConfigDict()
    config.splices.cutpaste = 1.0  # how often each is spliced in, in relation to the others
    config.splices.texture = 1.0
    config.splices.generated = 0.25  # 0: no generator at all, the control
    config.splices.sheet = 0.0  # textures behind what is brighter, for films between fibres
    config.splices.cracks = 0.0  # share of images with thin dark lines on top
    config.splices.varied = 0.0  # share of images whose brightness and contrast vary
    return config
