"""What the files of this folder share: from config values to styles, shapes and optimisers."""

import jax
import ml_collections
import optax

from semad.nets.layers import Style

Scored = tuple[dict[str, jax.Array], jax.Array]
Lossed = tuple[jax.Array, dict[str, jax.Array]]


def style(config: ml_collections.ConfigDict) -> Style:
    """How the layers of all networks are built."""
    model = config.model
    return Style(model.width, model.leaky_slope, model.bn_momentum, model.init)


def image_shape(config: ml_collections.ConfigDict) -> tuple[int, int, int]:
    """Shape of one patch (P, P, C)."""
    return (config.data.patch_size, config.data.patch_size, config.data.channels)


def adam(config: ml_collections.ConfigDict) -> optax.GradientTransformation:
    """Adam without its learning rate, which is an hparam of each net."""
    return optax.scale_by_adam(b1=config.optim.beta1, b2=config.optim.beta2)


def learning_rates(config: ml_collections.ConfigDict) -> dict[str, float]:
    """`lr_<net>` for every net that the config names a rate for."""
    return {f"lr_{net}": rate for net, rate in config.lr.items()}
