"""The peer of the benchmarks searches the same objective with the same weights."""

import jax
import numpy as np
import pytest

from semad.scoring.batched import ScoringState, make_scorer
from tests import tiny
from tests.scoring.test_scoring import shaken_weights

torch = pytest.importorskip("torch", reason="the extra `bench` is not installed")
peer = pytest.importorskip("experiments.benchmarks.torch_peer")


def test_it_scores_as_semad_does():
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
    nets = peer.torch_nets(0.0625, 8, run.settings.model.bn_epsilon)
    peer.copy_weights(nets, weights)
    start = torch.from_numpy(np.array(jax.random.normal(key, (1, 8))))
    images = torch.from_numpy(np.moveaxis(patches / np.float32(127.5) - 1, -1, 1).copy())
    found = peer.torch_search(nets, start, 5, lr=0.05)(images)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
