"""What all configs start from: the schema's defaults, in four sizes.

Every key, with its default from the thesis (appendix A), is a row of `semad/config/schema.py`;
docs/configs.md lists them. The presets are sizes of the same experiment: `thesis` as written, for
an accelerator; `medium`, a quarter of its channels and a tenth of its steps, for all systems in a
night on two cores; `small` for ten minutes; `smoke` for one minute, on embedded data, to see that
all works.
"""

import ml_collections

from semad.config.settings import defaults

PRESETS = ("thesis", "medium", "small", "smoke")


def get_config(preset: str) -> ml_collections.ConfigDict:
    if preset not in PRESETS:
        raise ValueError(f"no preset {preset!r}; there are {', '.join(PRESETS)}")
    config = defaults()
    config.preset = preset
    if preset != "thesis":
        # At the short presets' rates weights move so fast that a wider average makes BiGAN's
        # encoder a constant (docs/reproduction.md).
        config.train.ema_share = 0.002
        {"medium": _medium, "small": _small, "smoke": _smoke}[preset](config)
    return config


def _medium(config: ml_collections.ConfigDict) -> None:
    config.model.width = 0.25
    config.train.epochs = 6  # of 800 steps, where the thesis has 50


def _small(config: ml_collections.ConfigDict) -> None:
    config.data.crops_per_image = 2_048
    config.model.width = 0.25
    config.train.epochs = 6
    config.train.checkpoint_every = 500
    config.train.validate_every = 100
    config.train.image_every = 500


def _smoke(config: ml_collections.ConfigDict) -> None:
    config.data.name = "nanofibres"
    config.data.train_images = 4
    config.data.test_images = 4
    config.data.image_size = 128
    config.data.crops_per_image = 256
    config.model.width = 0.0625
    config.model.latent_dim = 16
    config.train.batch_size = 32
    config.train.epochs = 2
    config.train.log_every = 8
    config.train.image_every = 32
    config.train.checkpoint_every = 32
    config.train.validate_every = 16
