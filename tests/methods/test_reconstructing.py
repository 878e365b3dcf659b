"""ALAD, GANomaly and Skip-GANomaly: losses and scores against their equations, in NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from semad.methods import alad, ganomaly, skip_ganomaly
from tests.methods.known import (
    BATCH,
    KEY,
    OFF,
    X,
    Z,
    encode,
    encode_again,
    fake,
    generate,
    judge,
    judge_images,
    judge_latents,
    judge_pair,
    length,
    nets,
    real,
)

ALAD = nets(
    generator=generate,
    encoder=encode,
    discriminator_xz=judge_pair,
    discriminator_xx=judge_images,
    discriminator_zz=judge_latents,
)


@pytest.mark.parametrize("games", [("xz",), ("xz", "xx"), ("xz", "zz"), ("xz", "xx", "zz")])
def test_alad_losses(games):
    """Equations 2.82 to 2.88."""
    rebuilt = generate(encode(X))
    judged = {
        "xz": (judge_pair(X, encode(X)), judge_pair(generate(Z), Z)),
        "xx": (judge_images(X, X), judge_images(X, rebuilt)),
        "zz": (judge_latents(Z, Z), judge_latents(Z, encode(generate(Z)))),
    }
    discriminator_loss, generator_loss = alad.make_losses(games)
    loss, terms = discriminator_loss(ALAD, BATCH, KEY, OFF)
    each = {n: real(r.logits).mean() + fake(f.logits).mean() for n, (r, f) in judged.items()}
    assert loss == pytest.approx(float(sum(each[name] for name in games)), rel=1e-5)
    assert {name for name in each if name in terms} == set(games)
    loss, _ = generator_loss(ALAD, BATCH, KEY, OFF)
    expected = fake(judged["xz"][0].logits).mean()
    expected += sum(real(judged[name][1].logits).mean() for name in games)
    assert loss == pytest.approx(float(expected), rel=1e-5)


def test_alad_scores():
    """Equation 2.89; the logits' score rises as D_xx finds the reconstruction less real."""
    rebuilt = np.asarray(generate(encode(X)))
    scores, reconstruction, _ = alad.score(ALAD, X, KEY, OFF)
    np.testing.assert_allclose(reconstruction, rebuilt)
    same, other = judge_images(X, X), judge_images(X, rebuilt)
    expected = np.abs(np.asarray(same.features - other.features)).sum(axis=1)
    np.testing.assert_allclose(scores["features"], expected, rtol=1e-5)
    np.testing.assert_allclose(scores["logits"], real(other.logits), rtol=1e-5)


GANOMALY = nets(encoder=encode, decoder=generate, encoder2=encode_again, discriminator=judge)
WEIGHTS = {
    "noise": jnp.float32(0),
    "w_adversarial": jnp.float32(1),
    "w_contextual": jnp.float32(50),
    "w_encoder": jnp.float32(2),
}


def test_ganomaly_losses_of_the_paper():
    """Equations 2.91 to 2.94, as means."""
    code, rebuilt = np.asarray(encode(X)), np.asarray(generate(encode(X)))
    loss, _ = ganomaly.discriminator_loss(GANOMALY, BATCH, KEY, OFF | WEIGHTS)
    expected = real(judge(X).logits).mean() + fake(judge(rebuilt).logits).mean()
    assert loss == pytest.approx(float(expected), rel=1e-5)
    features = ((np.asarray(judge(X).features - judge(rebuilt).features)) ** 2).mean()
    latent = ((code - np.asarray(encode_again(rebuilt))) ** 2).mean()
    expected = features + 50 * np.abs(X - rebuilt).mean() + 2 * latent
    loss_function = ganomaly.make_generator_loss("features", "mean")
    loss, _ = loss_function(GANOMALY, BATCH, KEY, OFF | WEIGHTS)
    assert loss == pytest.approx(float(expected), rel=1e-5)


def test_ganomaly_losses_of_the_thesis():
    """Cross-entropy of x̂, the sum over its pixels, the Euclidean norm of the latents."""
    code, rebuilt = np.asarray(encode(X)), np.asarray(generate(encode(X)))
    pixels = np.abs(X - rebuilt).sum(axis=(1, 2, 3)).mean()
    latent = length(code - np.asarray(encode_again(rebuilt))).mean()
    expected = real(judge(rebuilt).logits).mean() + 50 * pixels + 2 * latent
    loss, _ = ganomaly.make_generator_loss()(GANOMALY, BATCH, KEY, OFF | WEIGHTS)
    assert loss == pytest.approx(float(expected), rel=1e-5)


def test_denoising_ganomaly_sees_noise_and_aims_at_the_clean_image():
    seen = []
    known = nets(
        encoder=lambda x: seen.append(x) or encode(X),
        decoder=generate,
        encoder2=encode_again,
        discriminator=judge,
    )
    noisy = OFF | WEIGHTS | {"noise": jnp.float32(0.5)}
    loss_function = ganomaly.make_generator_loss()
    loss, _ = loss_function(known, BATCH, KEY, noisy)
    expected, _ = loss_function(GANOMALY, BATCH, KEY, OFF | WEIGHTS)
    assert loss == pytest.approx(float(expected), rel=1e-5)
    assert 0.3 < float((seen[0] - X).std()) < 0.7


def test_ganomaly_scores():
    """Equation 2.95 as a mean, and its square."""
    difference = np.asarray(encode(X) - encode_again(generate(encode(X))))
    scores, _, _ = ganomaly.score(GANOMALY, X, KEY, OFF)
    np.testing.assert_allclose(scores["latent_l1"], np.abs(difference).mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(scores["latent_l2"], (difference**2).mean(axis=1), rtol=1e-5)


def halve(x):
    return x / 2


SKIP = nets(generator=halve, discriminator=judge)
SKIP_WEIGHTS = {
    "w_adversarial": jnp.float32(1),
    "w_contextual": jnp.float32(40),
    "w_latent": jnp.float32(3),
}


def test_skip_ganomaly_losses():
    rebuilt = X / 2
    loss, _ = skip_ganomaly.discriminator_loss(SKIP, BATCH, KEY, OFF | SKIP_WEIGHTS)
    expected = real(judge(X).logits).mean() + fake(judge(rebuilt).logits).mean()
    assert loss == pytest.approx(float(expected), rel=1e-5)
    difference = np.asarray(judge(X).features - judge(rebuilt).features)
    adversarial = real(judge(rebuilt).logits).mean()
    pixels = np.abs(X / 2)
    expected = {
        "mean": adversarial + 40 * pixels.mean() + 3 * (difference**2).mean(),
        "sum": adversarial
        + 40 * pixels.sum(axis=(1, 2, 3)).mean()
        + 3 * np.linalg.norm(difference, axis=1).mean(),
    }
    for reduction, value in expected.items():
        loss_function = skip_ganomaly.make_generator_loss(reduction)
        loss, _ = loss_function(SKIP, BATCH, KEY, OFF | SKIP_WEIGHTS)
        assert loss == pytest.approx(float(value), rel=1e-5), reduction


def test_skip_ganomaly_score():
    """Equation 2.97."""
    scores, rebuilt, _ = skip_ganomaly.make_score(0.9)(SKIP, X, KEY, OFF)
    np.testing.assert_allclose(rebuilt, X / 2)
    pixels = (X / 2) ** 2
    features = np.asarray(judge(X).features - judge(X / 2).features) ** 2
    expected = 0.9 * pixels.mean(axis=(1, 2, 3)) + 0.1 * features.mean(axis=1)
    np.testing.assert_allclose(scores["anomaly"], expected, rtol=1e-5)
