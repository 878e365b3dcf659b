"""Autoencoder, AnoGAN, BiGAN and ALI: losses and scores against their equations, in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from semad import losses
from semad.errors import UserError
from semad.methods import ali, anogan, autoencoder, bigan
from semad.types import Batch
from semad.utils.rng import Stream, stream
from tests import tiny
from tests.methods import known
from tests.methods.known import (
    BATCH,
    KEY,
    OFF,
    X,
    Z,
    encode,
    fake,
    gaussian,
    generate,
    judge,
    judge_pair,
    length,
    nets,
    real,
)

GAN = nets(generator=generate, discriminator=judge)
PAIRS = nets(generator=generate, encoder=encode, discriminator=judge_pair)


def test_autoencoder_loss():
    known = nets(encoder=encode, decoder=generate)
    hparams = {"noise": jnp.float32(0), "sparsity": jnp.float32(0)}
    loss, _ = autoencoder.make_loss(losses.mean_square)(known, BATCH, KEY, hparams)
    expected = ((X - np.tanh(encode(X).sum(axis=1))[:, None, None, None]) ** 2).mean()
    assert loss == pytest.approx(float(expected), rel=1e-5)
    hparams["sparsity"] = jnp.float32(0.3)
    loss, _ = autoencoder.make_loss(losses.mean_square)(known, BATCH, KEY, hparams)
    expected += 0.3 * np.abs(encode(X)).mean()
    assert loss == pytest.approx(float(expected), rel=1e-5)


def test_denoising_autoencoder_sees_noise_and_aims_at_the_clean_image():
    seen = []
    known = nets(encoder=lambda x: seen.append(x) or x, decoder=lambda code: 0 * code)
    hparams = {"noise": jnp.float32(0.5), "sparsity": jnp.float32(0)}
    big = jnp.zeros((64, 16, 16, 1)) + 0.25
    loss, _ = autoencoder.make_loss(losses.mean_square)(known, Batch(big, Z, 0), KEY, hparams)
    assert loss == pytest.approx(0.25**2, rel=1e-5)
    assert float((seen[0] - big).std()) == pytest.approx(0.5, rel=0.02)


def test_anogan_losses():
    on_real, on_generated = judge(X).logits, judge(generate(Z)).logits
    loss, terms = anogan.discriminator_loss(GAN, BATCH, KEY, OFF)
    expected = real(on_real).mean() + fake(on_generated).mean()
    assert loss == pytest.approx(float(expected), rel=1e-5)
    assert terms["real"] + terms["generated"] == pytest.approx(float(expected), rel=1e-5)
    loss, _ = anogan.generator_loss(GAN, BATCH, KEY, OFF)
    assert loss == pytest.approx(real(on_generated).mean(), rel=1e-5)


def test_bigan_losses():
    pair = judge_pair(X, encode(X)), judge_pair(generate(Z), Z)
    hparams = OFF | {"feature_matching": jnp.float32(0.1)}
    discriminator_loss, generator_loss = bigan.make_losses(bigan.encode)
    loss, _ = discriminator_loss(PAIRS, BATCH, KEY, hparams)
    expected = real(pair[0].logits).mean() + fake(pair[1].logits).mean()
    assert loss == pytest.approx(float(expected), rel=1e-5)
    loss, terms = generator_loss(PAIRS, BATCH, KEY, hparams)
    matching = length(pair[0].features - pair[1].features).mean()
    expected = fake(pair[0].logits).mean() + real(pair[1].logits).mean() + 0.1 * matching
    assert loss == pytest.approx(float(expected), rel=1e-5)
    assert terms["feature_matching"] == pytest.approx(float(matching), rel=1e-5)


def test_feature_matching_is_not_asked_of_bigan_s_encoder():
    _, generator_loss = bigan.make_losses(bigan.encode)

    def loss(shift, weight):
        moved = nets(
            generator=generate, encoder=lambda x: encode(x) + shift, discriminator=judge_pair
        )
        hparams = OFF | {"feature_matching": jnp.float32(weight)}
        return generator_loss(moved, BATCH, KEY, hparams)[0]

    slopes = [float(jax.grad(loss)(0.1, weight)) for weight in (0.0, 5.0)]
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-5)
    assert abs(slopes[0]) > 1e-3


@pytest.mark.parametrize("degree", [1, 2])
def test_bigan_score(degree):
    z = encode(X)
    rebuilt = np.asarray(generate(z))
    scores, reconstruction, _ = bigan.make_score(bigan.encode, 0.9, degree)(PAIRS, X, KEY, OFF)
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
    score = known.anogan_score(steps=0, discrimination=discrimination)
    scores, reconstruction, _ = score(GAN, X, KEY, OFF)
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
    before, after = (
        known.anogan_score(steps=steps, lr=0.05)(GAN, X, KEY, OFF)[0] for steps in (0, 50)
    )
    assert (np.asarray(after["anomaly"]) < np.asarray(before["anomaly"])).all()


WITH_ENCODER = nets(generator=generate, encoder=encode, discriminator=judge)


def closeness(x, generated):
    """L(z; x) with λ = .1 on the features, in NumPy."""
    residual = np.abs(x - generated).sum(axis=(1, 2, 3))
    other = np.abs(np.asarray(judge(x).features - judge(generated).features)).sum(axis=1)
    return 0.9 * residual + 0.1 * other


def test_anogan_starts_from_its_encoder():
    score = known.anogan_score(recipe="encoder", steps=0)
    scores, rebuilt, _ = score(WITH_ENCODER, X, KEY, OFF)
    generated = np.asarray(generate(encode(X)))
    np.testing.assert_allclose(rebuilt, generated, rtol=1e-6)
    np.testing.assert_allclose(scores["anomaly"], closeness(X, generated), rtol=1e-5)


@pytest.mark.parametrize("lr", [0.05, 50.0])
def test_anogan_never_ends_worse_than_its_encoder(lr):
    start, end = (
        known.anogan_score(recipe="encoder", steps=steps, lr=lr)(WITH_ENCODER, X, KEY, OFF)[0][
            "anomaly"
        ]
        for steps in (0, 20)
    )
    assert (np.asarray(end) <= np.asarray(start) * (1 + 1e-6)).all()
    assert (np.asarray(end) < np.asarray(start)).any() == (lr < 1)


def test_anogan_s_latents_are_those_its_score_found():
    _, encode_images = anogan.make_score(known.search(recipe="encoder", steps=20, lr=0.05), 2)
    found = encode_images(WITH_ENCODER, X, KEY, OFF)
    score = known.anogan_score(recipe="encoder", steps=20, lr=0.05)
    _, rebuilt, _ = score(WITH_ENCODER, X, KEY, OFF)
    np.testing.assert_allclose(generate(found), rebuilt, rtol=1e-6)
    assert (np.abs(np.asarray(found) - np.asarray(encode(X))) > 1e-3).any()


def test_anogan_encoder_loss():
    """L per pixel for crops and for samples, and the samples' latents."""
    loss_function = anogan.make_encoder_loss()
    loss, terms = loss_function(WITH_ENCODER, BATCH, KEY, OFF)
    generated = np.asarray(generate(Z))
    expected = {
        "images": closeness(X, np.asarray(generate(encode(X)))).mean() / 16,
        "samples": closeness(generated, np.asarray(generate(encode(generated)))).mean() / 16,
        "latents": np.square(Z - np.asarray(encode(generated))).mean(),
    }
    for name, value in expected.items():
        assert terms[name] == pytest.approx(float(value), rel=1e-5), name
    total = expected["images"] + expected["samples"] + 0.1 * expected["latents"]
    assert loss == pytest.approx(float(total), rel=1e-5)


def test_anogan_needs_an_encoder_to_start_from():
    with pytest.raises(UserError, match="encoder_epochs is 0.*--config.search.recipe=published"):
        tiny.prepare("anogan", train__encoder_epochs=0)
    run = tiny.prepare("anogan", train__encoder_epochs=0, search__recipe="annealed")
    assert run.method.nets.keys() == {"generator", "discriminator"}


def test_the_published_search_is_the_published_one():
    """500 steps of Adam at 1e-3 from one draw for all images, the last one counts."""
    recipe = anogan.recipe_of(known.search())
    assert recipe == anogan.Recipe(500, 1e-3, anneals=False, keep_best=False, tolerance=0.0)
    optimizer = optax.adam(1e-3)
    scores = known.anogan_score(steps=30)(GAN, X, KEY, OFF)[0]["anomaly"]
    for x, score in zip(X, scores, strict=True):

        def objective(z, x=x[None]):
            generated, seen = generate(z[None]), judge(x).features
            other = jnp.abs(seen - judge(generate(z[None])).features).sum()
            return 0.9 * jnp.abs(x - generated).sum() + 0.1 * other

        z = jax.random.normal(KEY, (2,))
        state = optimizer.init(z)
        for _ in range(30):
            updates, state = optimizer.update(jax.grad(objective)(z), state)
            z = optax.apply_updates(z, updates)
        assert score == pytest.approx(float(objective(z)), rel=1e-5)


def test_ali_s_losses_are_bigan_s_with_a_sampled_latent():
    known = nets(generator=generate, encoder=gaussian, discriminator=judge_pair)
    hparams = OFF | {"feature_matching": jnp.float32(0)}
    discriminator_loss, generator_loss = bigan.make_losses(ali.encode)
    noise = jax.random.normal(stream(KEY, Stream.ENCODER_NOISE), (3, 2))
    pair = judge_pair(X, encode(X) + 0.5 * noise), judge_pair(generate(Z), Z)
    loss, _ = discriminator_loss(known, BATCH, KEY, hparams)
    expected = real(pair[0].logits).mean() + fake(pair[1].logits).mean()
    assert loss == pytest.approx(float(expected), rel=1e-5)
    loss, _ = generator_loss(known, BATCH, KEY, hparams)
    expected = fake(pair[0].logits).mean() + real(pair[1].logits).mean()
    assert loss == pytest.approx(float(expected), rel=1e-5)


def test_ali_scores_at_the_mean():
    known = nets(generator=generate, encoder=gaussian, discriminator=judge_pair)
    pairs = nets(generator=generate, encoder=encode, discriminator=judge_pair)
    scores, _, _ = bigan.make_score(ali.encode, 0.9, 1)(known, X, KEY, OFF)
    expected, _, _ = bigan.make_score(bigan.encode, 0.9, 1)(pairs, X, KEY, OFF)
    for name, values in expected.items():
        np.testing.assert_allclose(scores[name], values, rtol=1e-6)
