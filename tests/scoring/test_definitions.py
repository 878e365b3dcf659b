"""Losses and scores of each system against their equations, in NumPy, on nets that are known."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from semad.methods import anogan, autoencoder, bigan
from semad.nets.thesis import Judgement
from semad.types import Batch

KEY = jax.random.key(0)
X = np.random.default_rng(0).uniform(-1, 1, (3, 4, 4, 1)).astype(np.float32)
Z = np.asarray(jax.random.normal(KEY, (3, 2)))
BATCH = Batch(X, Z)


def generate(z):
    """G(z): a constant image of tanh(z0 + z1)."""
    return jnp.tanh(z.sum(axis=1)).reshape(-1, 1, 1, 1) * jnp.ones((1, 4, 4, 1))


def encode(x):
    """E(x): mean and first pixel."""
    return jnp.stack([x.mean(axis=(1, 2, 3)), x[:, 0, 0, 0]], axis=1)


def judge(x):
    features = x.reshape(x.shape[0], -1)[:, :5] * 2
    return Judgement(features.sum(axis=1) + 0.3, features)


def judge_pair(x, z):
    features = jnp.concatenate([x.reshape(x.shape[0], -1)[:, :5], z], axis=1)
    return Judgement(features.sum(axis=1) - 0.2, features)


GAN = SimpleNamespace(generator=generate, discriminator=judge)
PAIRS = SimpleNamespace(generator=generate, encoder=encode, discriminator=judge_pair)


def real(logits):
    """-log sigmoid."""
    return np.log1p(np.exp(-np.asarray(logits)))


def fake(logits):
    """-log(1 - sigmoid)."""
    return np.log1p(np.exp(np.asarray(logits)))


def test_autoencoder_loss():
    nets = SimpleNamespace(encoder=encode, decoder=generate)
    loss, _ = autoencoder.loss(nets, BATCH, KEY, {})
    expected = ((X - np.tanh(encode(X).sum(axis=1))[:, None, None, None]) ** 2).mean()
    assert loss == pytest.approx(float(expected), rel=1e-5)


def test_anogan_losses():
    on_real, on_generated = judge(X).logits, judge(generate(Z)).logits
    loss, terms = anogan.discriminator_loss(GAN, BATCH, KEY, {})
    expected = real(on_real).mean() + fake(on_generated).mean()
    assert loss == pytest.approx(float(expected), rel=1e-5)
    assert sum(terms.values()) == pytest.approx(float(expected), rel=1e-5)
    loss, _ = anogan.generator_loss(GAN, BATCH, KEY, {})
    assert loss == pytest.approx(real(on_generated).mean(), rel=1e-5)


def test_bigan_losses():
    pair = judge_pair(X, encode(X)), judge_pair(generate(Z), Z)
    hparams = {"feature_matching": jnp.float32(0.1)}
    loss, _ = bigan.discriminator_loss(PAIRS, BATCH, KEY, hparams)
    expected = real(pair[0].logits).mean() + fake(pair[1].logits).mean()
    assert loss == pytest.approx(float(expected), rel=1e-5)
    loss, terms = bigan.generator_loss(PAIRS, BATCH, KEY, hparams)
    matching = ((pair[0].features.mean(axis=0) - pair[1].features.mean(axis=0)) ** 2).sum()
    expected = fake(pair[0].logits).mean() + real(pair[1].logits).mean() + 0.1 * matching
    assert loss == pytest.approx(float(expected), rel=1e-5)
    assert terms["feature_matching"] == pytest.approx(float(matching), rel=1e-5)


@pytest.mark.parametrize("degree", [1, 2])
def test_bigan_score(degree):
    z = encode(X)
    rebuilt = np.asarray(generate(z))
    scores, reconstruction = bigan.make_score(0.9, degree)(PAIRS, X, KEY)
    np.testing.assert_allclose(reconstruction, rebuilt)
    residual = np.linalg.norm((X - rebuilt).reshape(3, -1), degree, axis=1)
    difference = np.asarray(judge_pair(X, z).features - judge_pair(rebuilt, z).features)
    features = np.linalg.norm(difference, degree, axis=1)
    np.testing.assert_allclose(scores["features"], 0.9 * residual + 0.1 * features, rtol=1e-5)
    entropy = real(judge_pair(X, z).logits)
    np.testing.assert_allclose(scores["cross_entropy"], 0.9 * residual + 0.1 * entropy, rtol=1e-5)


@pytest.mark.parametrize("discrimination", ["features", "cross_entropy"])
def test_anogan_score_at_its_start(discrimination):
    """Without a step the score is L(z0), equations 2.32 and 2.33 with λ on the features."""
    search = ml_collections.ConfigDict(
        {"steps": 0, "lr": 1e-3, "weight": 0.1, "discrimination": discrimination}
    )
    scores, reconstruction = anogan.make_score(search, 2)(GAN, X, KEY)
    z0 = jax.random.normal(KEY, (2,))[None]
    generated = np.asarray(generate(z0))
    np.testing.assert_allclose(reconstruction, np.repeat(generated, 3, axis=0), rtol=1e-6)
    residual = np.abs(X - generated).sum(axis=(1, 2, 3))
    if discrimination == "features":
        other = np.abs(np.asarray(judge(X).features - judge(generated).features)).sum(axis=1)
    else:
        other = np.repeat(real(judge(generated).logits), 3)
    np.testing.assert_allclose(scores["residual"], residual, rtol=1e-5)
    np.testing.assert_allclose(scores["discrimination"], other, rtol=1e-5)
    np.testing.assert_allclose(scores["anomaly"], 0.9 * residual + 0.1 * other, rtol=1e-5)


def test_anogan_search_lowers_its_score():
    search = {"lr": 0.05, "weight": 0.1, "discrimination": "features"}
    before, after = (
        anogan.make_score(ml_collections.ConfigDict({"steps": steps, **search}), 2)(GAN, X, KEY)[0]
        for steps in (0, 50)
    )
    assert (np.asarray(after["anomaly"]) < np.asarray(before["anomaly"])).all()
