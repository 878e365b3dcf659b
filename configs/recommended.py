"""What to run first on micrographs of one's own: the dense discriminator, without its generator.

Ranked first without a label, by defects planted into held-out normal images, of all systems but
AnoGAN (README, "Maps"). The sheets and the mirror images came later, for what they did on
`nanofibres`, the cracks for what was missed on magnetic tiles, the second level of the image
pyramid and the cooldown by labels, mainly those of the tiles (docs/results/maps.md). The training
takes as long for five images as for five hundred.
"""

import ml_collections

from semad.configs import dense_discriminator


def get_config(preset: str = "small") -> ml_collections.ConfigDict:
    config = dense_discriminator.get_config(preset)
    config.splices.generated = 0.0
    config.splices.sheet = 1.0  # without them films behind fibres were missed
    config.splices.cracks = 0.2  # without them thin lines on textures were missed
    config.splices.varied = 0.5
    config.data.pyramid = 2  # of large regions a patch of the full size sees no edge
    config.train.cooldown = 0.5  # maps are better by it for as many steps
    # Planted defects are found as well as by the mean of four mirror images at a stride of 32, in
    # less than half the time (experiments/choose_mirrors.py).
    config.score.flips = "alternate"
    config.score.stride = 24
    config.select = "synthetic"
    config.score.pixel_rate = 0.01  # defects are few pixels, which false ones should not outnumber
    config.data.name = "nanofibres"  # or folder, with --config.data.dir
    return config
