"""A system of your own in one file: a denoising autoencoder, trained and evaluated by semad.

python examples/my_method.py runs/denoiser
python main.py --config examples/my_method.py:smoke --workdir runs/denoiser   # the same: this file
                                                          # is imported, and so adds its system

A system says four things: its networks, its loss, which networks the loss moves, and its score.
`semad.types` is the contract. Checkpoints, logs, maps, thresholds, metrics and the report follow.
The network learns to take noise away from normal patches. What it was never shown, it takes for
noise as well, so a defect is what it changes most.
"""

import sys

import flax.linen as nn
import jax
import ml_collections
import optax

import semad
from semad.config.schema import Settings
from semad.configs import common
from semad.losses import mean_square
from semad.methods import METHODS
from semad.types import Batch, Hparams, Method, MethodOutput, Net, Nets, Phase, Update


class Denoiser(nn.Module):
    """Two convolutions of stride 2, and back: images (N, P, P, C) -> images (N, P, P, C)."""

    channels: int
    features: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Patches come as `config.data.normalisation` says; the output has no bounds, as they."""
        del train  # there is neither batch normalisation nor dropout
        for features in (self.features, 2 * self.features):
            x = nn.relu(nn.Conv(features, (3, 3), strides=2)(x))
        for features in (2 * self.features, self.features):
            x = nn.relu(nn.ConvTranspose(features, (3, 3), strides=(2, 2))(x))
        return nn.Conv(self.channels, (3, 3))(x)


def loss(
    nets: Nets, batch: Batch, key: jax.Array, hparams: Hparams
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The mean square of x − D(x + noise); terms by name go to the log, here none but the total."""
    noise = hparams["noise"] * jax.random.normal(key, batch.images.shape)
    return mean_square(batch.images, nets.denoiser(batch.images + noise)).mean(), {}


def reconstruct(nets: Nets, images: jax.Array) -> jax.Array:
    """D(x); for the log's pictures, and for validation while it trains."""
    return nets.denoiser(images)


def score(nets: Nets, images: jax.Array, key: jax.Array, hparams: Hparams) -> MethodOutput:
    """`denoised`: how far D(x + noise) is from x. `l1`, `l2`, `ssim` of D(x) are added by semad."""
    # One draw for all images, without the batch axis: a score depends on its own image alone.
    noise = hparams["noise"] * jax.random.normal(key, images.shape[1:])
    denoised = mean_square(images, nets.denoiser(images + noise[None]))
    return MethodOutput({"denoised": denoised}, reconstruct(nets, images))


def build(settings: Settings) -> Method:
    """The system for a config of `get_config`."""
    data, optim = settings.data, settings.optim
    features = max(4, round(64 * settings.model.width))
    module = Denoiser(data.channels, features)
    adam = optax.scale_by_adam(optim.beta1, optim.beta2)  # the rate is `lr_denoiser`, see below
    update = Update("denoiser", trains=("denoiser",), loss=loss, optimizer=adam)
    return Method(
        name="denoiser",
        nets={"denoiser": Net(module, ((data.patch_size, data.patch_size, data.channels),))},
        latent_dim=1,  # of the batch's z, which this loss does not use
        phases=(Phase("denoiser", settings.train.epochs, (update,)),),
        # Scalars that the members of a population may differ in.
        hparams={"lr_denoiser": settings.lr["denoiser"], "noise": settings.loss.noise},
        score=score,
        default_score="denoised",
        reconstruct=reconstruct,
    )


METHODS["denoiser"] = build


def get_config(preset: str = "smoke") -> ml_collections.ConfigDict:
    """The keys that all systems share, and those that only some have."""
    config = common.get_config(preset)
    config.method = "denoiser"
    config.lr.denoiser = 1e-3
    config.loss = ml_collections.ConfigDict({"noise": 0.2})
    return config


def main(workdir: str, config: ml_collections.ConfigDict) -> None:
    """Trains, evaluates, and prints AUROC beside that of the baselines, which learn nothing."""
    result = semad.train_and_evaluate(config, workdir)
    rows = {"denoiser": result} | result["baselines"]
    for name, values in rows.items():
        print(f"{name:<14} AUROC {values['auroc']:.3f}")


if __name__ == "__main__":
    main(sys.argv[1], get_config())
