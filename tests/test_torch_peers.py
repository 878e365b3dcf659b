"""The peers of the benchmarks have semad's layers, losses and updates."""

from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from semad.config.settings import resolve
from semad.methods import METHODS, dense_discriminator
from semad.nets.layers import LayerSettings
from semad.nets.thesis import DiscriminatorOutput
from semad.scoring.batched import ScoringState, make_scorer
from semad.training.step import apply_update
from semad.types import Batch, TrainState
from tests import tiny
from tests.scoring.test_scoring import shaken_weights

torch = pytest.importorskip("torch", reason="the extra `bench` is not installed")
peers = pytest.importorskip("experiments.benchmarks.peers")
anogan = pytest.importorskip("experiments.benchmarks.peers.anogan")
weights_of = pytest.importorskip("experiments.benchmarks.peers.weights")


def test_it_searches_as_semad_does():
    run = tiny.prepare(
        "anogan",
        data__patch_size=32,
        model__width=0.0625,
        search__recipe="published",
        search__steps=5,
        search__lr=0.05,
    )
    weights, key = shaken_weights(run.method), jax.random.key(3)
    patches = np.stack(run.source.test[:3])
    scoring = ScoringState(weights, run.method.hparams, key)
    expected = make_scorer(run.method)(scoring, patches).scores["anomaly"]
    nets = anogan.anogan_nets(8, LayerSettings(0.0625, epsilon=run.settings.model.bn_epsilon))
    weights_of.copy_weights(nets, weights)
    start = torch.from_numpy(np.array(jax.random.normal(key, (1, 8))))
    images = weights_of.as_images(patches / np.float32(127.5) - 1)
    found = anogan.anogan_search(nets, start, 5, lr=0.05)(images)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


STEPS = 3
RATE = 0.01


def small_system(name):
    """Settings and method of a system at a tiny width, without dropout, whose masks are random."""
    changes = {"splices__generated": 0.0} if name == "dense_discriminator" else {}
    settings = resolve(
        tiny.config(name, data__patch_size=32, model__width=0.0625, train__batch_size=12, **changes)
    )
    method = METHODS[name](settings)
    rates = {key: RATE for key in method.hparams if key.startswith("lr_")}
    nets = {
        key: net._replace(module=net.module.clone(dropout=0.0))
        if hasattr(net.module, "dropout")
        else net
        for key, net in method.nets.items()
    }
    return settings, method._replace(nets=nets, hparams=dict(method.hparams) | rates)


def converged(params, stats):
    """Batch statistics with singular vectors of the kernels in them.

    Each framework begins its power iteration with another vector; they agree where it ends.
    """
    new = {}
    for name, value in stats.items():
        if name.endswith("/u"):
            kernel = params[name.split("/")[0]]["kernel"]
            new[name] = np.linalg.svd(kernel.reshape(-1, value.size))[2][:1]
        elif isinstance(value, dict):
            new[name] = converged(params.get(name, params), value)
        else:
            new[name] = value
    return new


def semad_losses(method, weights, batches):
    """Totals of all updates of some steps on the same batches, in order."""
    phase = method.phases[0]
    trained = frozenset(name for update in phase.updates for name in update.trains)
    opt_state = {
        update.name: update.optimizer.init({name: weights.params[name] for name in update.trains})
        for update in phase.updates
    }
    state = TrainState(jnp.int32(0), weights, opt_state, weights, jax.random.key(0))

    @jax.jit
    def step(state):
        totals = []
        for update in phase.updates:
            for batch in batches[: update.repeat]:
                state, terms = apply_update(
                    method, update, trained, state, batch, jax.random.key(1), method.hparams
                )
                totals.append(terms["loss"])
        return state, totals

    losses = []
    for _ in range(STEPS):
        state, totals = step(state)
        losses += totals
    return losses


def splices_of(method, batch):
    """What the dense discriminator is shown of a batch, and the masks."""
    nets, loss = mock.MagicMock(), method.phases[0].updates[0].loss
    nets.discriminator.side_effect = lambda images: DiscriminatorOutput(
        jnp.zeros((len(images), 8, 8)), jnp.zeros((len(images), 8, 8, 1))
    )

    @jax.jit
    def record():
        with mock.patch.object(
            dense_discriminator, "to_cells", wraps=dense_discriminator.to_cells
        ) as to_cells:
            loss(nets, batch, jax.random.key(1), method.hparams)
        return nets.discriminator.call_args.args[0], to_cells.call_args.args[0]

    seen, masks = record()
    return weights_of.as_images(seen), weights_of.as_images(masks[..., None])[:, 0]


@pytest.mark.parametrize("name", ["anogan", "bigan", "ganomaly", "ebgan", "dense_discriminator"])
def test_it_trains_as_semad_does(name):
    settings, method = small_system(name)
    weights = jax.device_get(shaken_weights(method))
    weights = weights._replace(batch_stats=converged(*weights))
    draws = np.random.default_rng(0)
    batches = [
        Batch(
            jnp.asarray(draws.normal(0, 0.7, (12, 32, 32, 1)), jnp.float32),
            jnp.asarray(draws.normal(0, 1, (12, 8)), jnp.float32),
            jnp.float32(0),
        )
        for _ in range(max(update.repeat for update in method.phases[0].updates))
    ]
    if name == "dense_discriminator":
        inputs = [splices_of(method, batches[0])]
    else:
        z = (torch.from_numpy(np.array(batch.z)) for batch in batches)
        inputs = [(weights_of.as_images(batch.images), next(z)) for batch in batches]
    peer = peers.make_peer(settings, method)
    weights_of.copy_weights(peer.nets, weights)
    for module in (module for net in peer.nets.values() for module in net.modules()):
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    losses = [loss.item() for _ in range(STEPS) for loss in peer.step(inputs)]
    np.testing.assert_allclose(losses, semad_losses(method, weights, batches), rtol=1e-3)
