"""f-AnoGAN and the EBGAN family: losses and scores against their equations, in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from semad import losses
from semad.config.settings import resolve
from semad.losses.adversarial import CROSS_ENTROPY, WASSERSTEIN
from semad.methods import ebgan, encebgan, fanogan, sencebgan
from semad.methods.common import make_clip, make_gan_losses
from semad.run.state import init_population, member
from semad.run.system import build
from tests import tiny
from tests.methods.known import (
    BATCH,
    KEY,
    OFF,
    X,
    Z,
    autoencode,
    encode,
    encode_again,
    fake,
    flat,
    generate,
    judge,
    judge_images,
    judge_latents,
    length,
    nets,
    real,
)

FANOGAN = nets(generator=generate, encoder=encode, discriminator=judge)
CRITIC = OFF | {"w_penalty": jnp.float32(10), "kappa": jnp.float32(2)}


def test_fanogan_first_phase():
    on_real, on_generated = np.asarray(judge(X).logits), np.asarray(judge(generate(Z)).logits)
    discriminator_loss, generator_loss = make_gan_losses(WASSERSTEIN, penalised=True)
    loss, terms = discriminator_loss(FANOGAN, BATCH, KEY, CRITIC)
    # The judge adds up five pixels, each twice: its slope is √(5·4) everywhere.
    penalty = (np.sqrt(20) - 1) ** 2
    assert terms["penalty"] == pytest.approx(penalty, rel=1e-5)
    expected = on_generated.mean() - on_real.mean() + 10 * penalty
    assert loss == pytest.approx(float(expected), rel=1e-5)
    loss, _ = generator_loss(FANOGAN, BATCH, KEY, CRITIC)
    assert loss == pytest.approx(-on_generated.mean(), rel=1e-5)
    discriminator_loss, generator_loss = make_gan_losses(CROSS_ENTROPY, penalised=False)
    loss, _ = discriminator_loss(FANOGAN, BATCH, KEY, CRITIC)
    assert loss == pytest.approx(float(real(on_real).mean() + fake(on_generated).mean()), rel=1e-5)


@pytest.mark.parametrize("name", fanogan.ENCODER_OBJECTIVES)
def test_fanogan_encoder(name):
    """Equations 3.1, 3.2 and 3.3."""
    rebuilt = np.asarray(generate(encode(X)))
    image = ((X - rebuilt) ** 2).mean()
    features = (np.asarray(judge(X).features - judge(rebuilt).features) ** 2).mean()
    latent = ((Z - np.asarray(encode(generate(Z)))) ** 2).mean()
    expected = {"izi": image, "izi_f": image + 2 * features, "ziz": latent}[name]
    loss_function = fanogan.make_encoder_loss(name, losses.mean_square)
    loss, _ = loss_function(FANOGAN, BATCH, KEY, CRITIC)
    assert loss == pytest.approx(float(expected), rel=1e-5)


def test_fanogan_scores():
    """Equations 3.4 to 3.6, and the latent distance."""
    rebuilt = np.asarray(generate(encode(X)))
    residual = ((X - rebuilt) ** 2).mean(axis=(1, 2, 3))
    features = (np.asarray(judge(X).features - judge(rebuilt).features) ** 2).mean(axis=1)
    scores, _, _ = fanogan.score(FANOGAN, X, KEY, OFF | {"kappa": jnp.float32(0.5)})
    np.testing.assert_allclose(scores["anomaly"], residual + 0.5 * features, rtol=1e-5)
    latent = length(encode(X) - encode(rebuilt)) ** 2
    np.testing.assert_allclose(scores["latent"], latent, rtol=1e-5)


def test_weight_clipping():
    values = jnp.array([-1.0, 0.005, 3.0])
    clipped = make_clip(0.01)({"d": {"kernel": values, "scale": values}})["d"]
    np.testing.assert_allclose(clipped["kernel"], [-0.01, 0.005, 0.01])
    np.testing.assert_array_equal(clipped["scale"], values)


EBGAN = nets(
    generator=generate,
    discriminator=autoencode,
    encoder=encode,
    return_encoder=encode_again,
    discriminator_xx=judge_images,
    discriminator_zz=judge_latents,
)
ENERGIES = OFF | {
    "w_penalty": jnp.float32(10),
    "w_pull_away": jnp.float32(0.25),
    "w_similarity": jnp.float32(0.1),
    "w_consistency": jnp.float32(0.4),
}


def cosine_squares(rows):
    rows = np.asarray(rows, np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    squares = (rows @ rows.T) ** 2
    count = len(rows)
    return (squares.sum() - np.trace(squares)) / (count * (count - 1))


@pytest.mark.parametrize("similarity", [True, False])
@pytest.mark.parametrize("margin", [1.5, 20.0])
def test_ebgan_losses(margin, similarity):
    """Equations 3.7 and 3.8; AE(x) = x/2, so the energy is half the length of x."""
    generated = np.asarray(generate(Z))
    on_real, on_generated = length(X) / 2, length(generated) / 2
    discriminator_loss, generator_loss = ebgan.make_gan_losses("margin", margin, similarity)
    loss, _ = discriminator_loss(EBGAN, BATCH, KEY, ENERGIES)
    expected = on_real.mean() + np.maximum(0, margin - on_generated).mean()
    assert loss == pytest.approx(float(expected), rel=1e-5)
    loss, terms = generator_loss(EBGAN, BATCH, KEY, ENERGIES)
    code = np.asarray(flat(generated))[:, 1:3]
    expected = on_generated.mean() + 0.25 * cosine_squares(code)
    if similarity:
        expected += 0.1 * length(np.asarray(flat(X))[:, 1:3] - code).mean()
    assert ("similarity" in terms) == similarity
    assert loss == pytest.approx(float(expected), rel=1e-5)
    assert terms["pull_away"] == pytest.approx(cosine_squares(code), rel=1e-5)


def test_ebgan_as_a_critic():
    """The value is minus the energy, whose slope is that of a length: one half."""
    on_real, on_generated = length(X) / 2, length(generate(Z)) / 2
    discriminator_loss, generator_loss = ebgan.make_gan_losses("wgan_gp", 20.0)
    loss, terms = discriminator_loss(EBGAN, BATCH, KEY, ENERGIES)
    assert terms["penalty"] == pytest.approx(0.25, rel=1e-5)
    expected = on_real.mean() - on_generated.mean() + 10 * 0.25
    assert loss == pytest.approx(float(expected), rel=1e-5)
    loss, terms = generator_loss(EBGAN, BATCH, KEY, ENERGIES)
    assert terms["adversarial"] == pytest.approx(on_generated.mean(), rel=1e-5)


def test_ebgan_scores():
    scores, rebuilt, _ = ebgan.score(EBGAN, X, KEY, OFF)
    np.testing.assert_allclose(rebuilt, X / 2)
    code = np.asarray(flat(X))[:, 1:3]
    generated = np.asarray(generate(jnp.asarray(code)))
    again = np.asarray(flat(generated))[:, 1:3]
    np.testing.assert_allclose(scores["energy"], length(X) / 2, rtol=1e-5)
    np.testing.assert_allclose(scores["image"], length(X - generated), rtol=1e-5)
    np.testing.assert_allclose(scores["embedding_l1"], np.abs(code - again).sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(scores["embedding_l2"], length(code - again), rtol=1e-5)


def parts():
    """E(x), x̂, and what D makes of x and of x̂."""
    latent = np.asarray(encode(X))
    rebuilt = np.asarray(generate(encode(X)))
    return latent, rebuilt, np.asarray(flat(X))[:, 1:3], np.asarray(flat(rebuilt))[:, 1:3]


def test_encebgan_encoder_losses():
    """AE(x) = x/2: decodings lie half as far apart as images, and an energy is half a length."""
    _, rebuilt, code, again = parts()
    pixels = length(X - rebuilt).mean()
    expected = {
        "decodings": pixels + 0.4 * pixels / 2,
        "embeddings": pixels + 0.4 * length(code - again).mean(),
        "energy": length(rebuilt).mean() / 2,
    }
    assert expected.keys() == set(encebgan.ENCODER_OBJECTIVES)
    for objective, value in expected.items():
        loss, _ = encebgan.make_encoder_loss(objective)(EBGAN, BATCH, KEY, ENERGIES)
        assert loss == pytest.approx(float(value), rel=1e-5), objective


@pytest.mark.parametrize("name", ["l1", "ssim"])
def test_encebgan_s_encoder_by_another_residual(name):
    images = jax.random.uniform(KEY, (3, 16, 16, 1), minval=-1, maxval=1)
    made = nets(
        generator=lambda z: jnp.tanh(z.sum(axis=1)).reshape(-1, 1, 1, 1) * images,
        encoder=encode,
        discriminator=autoencode,
    )
    loss, terms = encebgan.make_encoder_loss("embeddings", name)(
        made, BATCH._replace(images=images), KEY, ENERGIES
    )
    rebuilt = made.generator(encode(images))
    expected = losses.RESIDUALS[name].value(images, rebuilt).mean()
    assert terms["reconstruction"] == pytest.approx(float(expected), rel=1e-5)
    apart = length(autoencode(images).code - autoencode(rebuilt).code).mean()
    assert loss == pytest.approx(float(expected + 0.4 * apart), rel=1e-5)


def test_encebgan_scores():
    latent, rebuilt, code, again = parts()
    scores, _, _ = encebgan.score(EBGAN, X, KEY, OFF)
    expected = {
        "image": length(X - rebuilt),
        "energy": length(X - rebuilt) / 2,
        "latent": length(latent - again),
        "embedding": length(code - again),
        "discriminator": length(X) / 2,
    }
    expected["combination"] = 0.55 * expected["latent"] + 0.45 * expected["embedding"]
    assert scores.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(scores[name], values, rtol=1e-5, err_msg=name)


def test_sencebgan_return_loss():
    latent, rebuilt, _, _ = parts()
    loss, _ = sencebgan.return_loss(EBGAN, BATCH, KEY, OFF)
    expected = length(np.asarray(encode_again(rebuilt)) - latent).mean()
    assert loss == pytest.approx(float(expected), rel=1e-5)


def test_sencebgan_scores():
    latent, rebuilt, code, again = parts()
    scores, _, _ = sencebgan.make_score(xx=True, zz=True)(EBGAN, X, KEY, OFF)
    returned = np.asarray(encode_again(rebuilt))
    expected = {
        "image": length(X - rebuilt),
        "energy": length(X - rebuilt) / 2,
        "final_1": length(latent - returned),
        "final_1_l1": np.abs(latent - returned).sum(axis=1),
        "final_4": features(judge_images(X, X), judge_images(X, rebuilt)),
        "final_6": features(judge_latents(latent, latent), judge_latents(latent, returned)),
        "final_2": length(latent - again),
        "final_3": length(code - again),
        "discriminator": length(X) / 2,
    }
    expected["comb_im"] = expected["image"] + 0.25 * expected["final_1"]
    expected["comb_z"] = 0.55 * expected["final_2"] + 0.45 * expected["final_3"]
    expected["image_c"] = 0.75 * expected["image"] + 0.25 * expected["energy"]
    expected["latent_c"] = 0.75 * expected["final_1"] + 0.25 * expected["final_3"]
    assert scores.keys() == expected.keys()
    plain, _, _ = sencebgan.make_score()(EBGAN, X, KEY, OFF)
    assert plain.keys() == expected.keys() - {"final_4", "final_6"}
    for name, values in expected.items():
        np.testing.assert_allclose(scores[name], values, rtol=1e-5, err_msg=name)


def features(same, other):
    """The L1 distance of two discriminator outputs' features."""
    return np.abs(np.asarray(same.features - other.features)).sum(axis=1)


def test_scores_by_the_names_of_the_thesis():
    system = build(tiny.config("sencebgan", score__name="A_LDz"))
    assert system.scoring.score == "final_3"
    assert system.method.aliases.keys() == {"A_R", "A_RD", "A_IC", "A_L", "A_LD", "A_LDz", "A_LC"}
    defaults = {"sencebgan": "final_1", "encebgan": "image"}
    for name, score in defaults.items():
        assert build(tiny.config(name)).scoring.score == score


@pytest.mark.parametrize("pair", ["xx", "zz"])
def test_sencebgan_losses_of_pairs(pair):
    latent, rebuilt, _, _ = parts()
    if pair == "xx":
        on_real, on_other = judge_images(X, X).logits, judge_images(X, rebuilt).logits
    else:
        on_real = judge_latents(latent, latent).logits
        on_other = judge_latents(latent, encode_again(rebuilt)).logits
    loss, _ = sencebgan.make_discriminator_loss(pair)(EBGAN, BATCH, KEY, OFF)
    expected = real(on_real).mean() + fake(on_other).mean()
    assert loss == pytest.approx(float(expected), rel=1e-5)
    own, _ = sencebgan.return_loss(EBGAN, BATCH, KEY, OFF)
    loss, _ = sencebgan.with_pairs(sencebgan.return_loss, pair)(EBGAN, BATCH, KEY, OFF)
    assert loss == pytest.approx(float(own + real(on_other).mean()), rel=1e-5)


def test_gradients_are_finite_where_a_reconstruction_is_exact():
    """A norm has no slope at zero; training must not end in NaN there."""
    same = nets(generator=lambda z: X, discriminator=lambda x: autoencode(x), encoder=encode)
    loss_function = encebgan.make_encoder_loss("embeddings")

    def loss(shift):
        moved = nets(
            generator=lambda z: X + shift, discriminator=same.discriminator, encoder=encode
        )
        return loss_function(moved, BATCH, KEY, ENERGIES)[0]

    assert jnp.isfinite(jax.grad(loss)(0.0))


def test_each_phase_has_the_epochs_that_its_key_names():
    epochs = {"train__epochs": 2, "train__encoder_epochs": 3}
    config = tiny.config("sencebgan", **epochs, train__return_epochs=5)
    expected = [
        ("gan", 2, "train.epochs"),
        ("encoder", 3, "train.encoder_epochs"),
        ("return", 5, "train.return_epochs"),
    ]
    assert named_epochs(sencebgan.build(resolve(config))) == expected
    for build_method, name in ((fanogan.build, "fanogan"), (encebgan.build, "encebgan")):
        settings = resolve(tiny.config(name, **epochs))
        assert named_epochs(build_method(settings)) == expected[:2]
    inpainting = build(tiny.config("inpainting", train__epochs=2, train__density_epochs=3)).method
    assert named_epochs(inpainting) == [
        ("inpainting", 2, "train.epochs"),
        ("density", 3, "train.density_epochs"),
    ]


def named_epochs(method):
    return [(phase.name, phase.epochs, phase.epochs_key) for phase in method.phases]


def test_updates_repeat_as_their_keys_say():
    config = tiny.config("ebgan", loss__critic_updates=2, loss__generator_updates=4)
    updates = ebgan.build(resolve(config)).phases[0].updates
    assert {update.name: update.repeat for update in updates} == {
        "discriminator": 2,
        "generator": 4,
    }


def test_a_penalised_energy_does_not_see_other_images():
    """Its slope at an image is what the penalty is about, and stays when the neighbours change."""
    run = tiny.prepare("ebgan", loss__objective="wgan_gp", model__init="xavier")
    weights = member(init_population(run.method, [0]), 0).weights
    images = jax.random.uniform(KEY, (3, 16, 16, 1), minval=-1, maxval=1)

    @jax.jit
    def slope(images):
        nets = run.method.bind(weights, frozenset({"discriminator"}))
        return jax.grad(lambda x: ebgan.energy(x, nets.discriminator(x)).sum())(images)[0]

    alone = slope(images)
    others = slope(images.at[1:].set(-images[1:]))
    assert float(jnp.abs(alone).max()) > 1e-3
    np.testing.assert_allclose(others, alone, rtol=1e-4, atol=1e-6)
