"""The real configs, shrunk until a test can train them."""

import importlib

import ml_collections
import optax

from semad import experiment
from semad.experiment import Experiment
from semad.methods import METHODS

NAMES = sorted(METHODS)
RECONSTRUCTING = sorted(METHODS.keys() - {"dense_discriminator"})


def config(method: str, **changes) -> ml_collections.ConfigDict:
    """The smoke preset of a method on 16-pixel digits; changes are dotted keys with `__`."""
    tiny = importlib.import_module(f"configs.{method}").get_config("smoke")
    with tiny.unlocked():
        tiny.data.name = "digits"
        tiny.data.patch_size = 16
        tiny.model.width = 0.03125
        tiny.model.latent_dim = 8
        tiny.train.batch_size = 16
        tiny.train.epochs = 1
        tiny.train.log_every = 4
        tiny.score.chunk = 16
        tiny.score.stride = 16
        tiny.score.smoothing = 0.0  # as large as a patch
        tiny.eval.max_items = 40
        tiny.eval.max_holdout_items = 20
        if "search" in tiny:
            tiny.search.steps = 5
        for key, value in changes.items():
            section, _, name = key.partition("__")
            if name:
                tiny[section][name] = value
            else:
                tiny[section] = value
    return tiny


def prepare(method: str, **changes) -> Experiment:
    """An experiment with the config above."""
    return experiment.prepare(config(method, **changes))


def with_gradient_descent(run: Experiment) -> Experiment:
    """The run with plain gradient descent: Adam turns rounding into whole steps, where a gradient
    is nothing but rounding (biases before batch normalisation)."""
    phases = tuple(
        phase._replace(updates=tuple(u._replace(optimizer=optax.identity()) for u in phase.updates))
        for phase in run.method.phases
    )
    hparams = {
        name: 1e-3 if name.startswith("lr_") else value
        for name, value in run.method.hparams.items()
    }
    return run._replace(method=run.method._replace(phases=phases, hparams=hparams))
