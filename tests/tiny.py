"""The real configs, shrunk until a test can train them."""

import importlib

import jax.numpy as jnp
import ml_collections
import optax

from semad.config.settings import resolve
from semad.methods import METHODS
from semad.run.population import population_hparams
from semad.run.prepare import Run
from semad.run.prepare import prepare as prepare_run

NAMES = sorted(METHODS)


def config(method: str, **changes) -> ml_collections.ConfigDict:
    """The smoke preset of a method on 16-pixel digits; changes are dotted keys with `__`."""
    tiny = importlib.import_module(f"semad.configs.{method}").get_config("smoke")
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


BUILT = {name: METHODS[name](resolve(config(name))) for name in NAMES}
RECONSTRUCTING = [name for name, own in BUILT.items() if own.reconstruct or own.searches]
GENERATING = [name for name, own in BUILT.items() if own.sample]
ENCODING = [name for name, own in BUILT.items() if own.encode]


def prepare(method: str, **changes) -> Run:
    """A run of the config above."""
    return prepare_run(config(method, **changes))


def with_gradient_descent(run: Run) -> Run:
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
    method = run.method._replace(phases=phases, hparams=hparams)
    scalars = population_hparams(run.settings, method, run.system.members)
    return run._replace(system=run.system._replace(method=method, hparams=scalars))


def with_learning_rate(run: Run, rate: float) -> Run:
    """The run with one learning rate for all nets of all members."""
    hparams = {
        name: jnp.full_like(values, rate) if name.startswith("lr_") else values
        for name, values in run.system.hparams.items()
    }
    return run._replace(system=run.system._replace(hparams=hparams))
