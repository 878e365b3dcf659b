"""The training tricks in every adversarial system: who sees noise, and what flipped labels mean."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from semad.losses.adversarial import CROSS_ENTROPY, WASSERSTEIN, trick_hparams
from semad.methods import alad, anogan, bigan, ebgan, ganomaly, sencebgan, skip_ganomaly
from semad.methods.common import make_gan_losses
from semad.nets.thesis import DiscriminatorOutput
from tests.methods import known
from tests.methods.known import BATCH, KEY, OFF, X, nets

SCORE = known.anogan_score(steps=2, lr=0.1, weight=0.5, discrimination="cross_entropy")
NETS = {
    "generator": known.generate,
    "encoder": known.encode,
    "encoder2": known.encode_again,
    "return_encoder": known.encode_again,
    "decoder": known.generate,
}
JUDGES = {
    "discriminator": known.judge,
    "discriminator_xz": known.judge_pair,
    "discriminator_xx": known.judge_images,
    "discriminator_zz": known.judge_latents,
}
WEIGHTS = {
    name: jnp.float32(value)
    for name, value in {
        "feature_matching": 0.1, "noise": 0, "w_adversarial": 1, "w_contextual": 2, "w_encoder": 3,
        "w_latent": 4, "w_penalty": 5, "w_pull_away": 0.3, "w_similarity": 0.2,
    }.items()
}  # fmt: skip
SKIP = {"generator": lambda x: x / 2}
ENERGY = {"discriminator": known.autoencode}

# Discriminators that soft and flipped labels leave alone.
HARD = {("alad", "discriminator_xx"), ("alad", "discriminator_zz")}

# Name -> the losses of D and of G, a score that asks for "real" (or None), and other nets.
SYSTEMS = {
    "anogan": (
        anogan.discriminator_loss, anogan.generator_loss, SCORE, {}
    ),
    "bigan": (
        *bigan.make_losses(bigan.encode), bigan.make_score(bigan.encode, 0.9, 1),
        {"discriminator": known.judge_pair},
    ),
    "alad": (*alad.make_losses(("xz", "xx", "zz")), alad.score, {}),
    "ganomaly": (
        ganomaly.discriminator_loss, ganomaly.make_generator_loss(), None, {}
    ),
    "skip_ganomaly": (
        skip_ganomaly.discriminator_loss, skip_ganomaly.make_generator_loss(), None, SKIP,
    ),
    "fanogan": (*make_gan_losses(CROSS_ENTROPY, False), None, {}),
    "fanogan_critic": (*make_gan_losses(WASSERSTEIN, True), None, {}),
    "sencebgan_xx": (
        sencebgan.make_discriminator_loss("xx"),
        sencebgan.with_pairs(sencebgan.return_loss, "xx"), None, {},
    ),
    "sencebgan_zz": (
        sencebgan.make_discriminator_loss("zz"),
        sencebgan.with_pairs(sencebgan.return_loss, "zz"), None, {},
    ),
    "ebgan": (*ebgan.make_gan_losses("margin", 20.0), None, ENERGY),
    "ebgan_critic": (*ebgan.make_gan_losses("wgan", 20.0), None, ENERGY),
}  # fmt: skip


def hparams(tricks="none"):
    return OFF | WEIGHTS | {name: jnp.float32(v) for name, v in trick_hparams(tricks).items()}


def evaluate(name, change, tricks="none"):
    """D's and G's loss, and the score, with every judge changed by `change`."""
    d_loss, g_loss, score, other = SYSTEMS[name]
    judges = {
        key: judge if (name, key) in HARD else change(judge)
        for key, judge in (JUDGES | other).items()
        if "discr" in key
    }
    made = nets(**(NETS | other | judges))
    values = [float(loss(made, BATCH, KEY, hparams(tricks))[0]) for loss in (d_loss, g_loss)]
    return values, score and score(made, X, KEY, hparams(tricks))[0]


def negated(judge):
    def other(*inputs, key=None):
        logits, features = judge(*inputs)
        return DiscriminatorOutput(-logits, features)

    return other


@pytest.mark.parametrize("name", [name for name in SYSTEMS if "ebgan" not in name[:5]])
def test_flipped_labels_ask_for_the_opposite_answer(name):
    """A judge with all answers negated, under LF, costs and scores what it does without."""
    plain, plain_scores = evaluate(name, lambda judge: judge)
    flipped, flipped_scores = evaluate(name, negated, "LF")
    np.testing.assert_allclose(flipped, plain, rtol=1e-5)
    for key in plain_scores or ():
        np.testing.assert_allclose(flipped_scores[key], plain_scores[key], rtol=1e-5, err_msg=key)
    unflipped, _ = evaluate(name, negated)
    assert abs(unflipped[0] - plain[0]) > 1e-3


def test_flipped_labels_of_an_energy():
    """Real images should then cost the margin, and generated ones nothing."""
    real = np.asarray(ebgan.energy(X, known.autoencode(X)))
    generated = known.generate(BATCH.z)
    generated = np.asarray(ebgan.energy(generated, known.autoencode(generated)))
    (d_loss, _), _ = evaluate("ebgan", lambda judge: judge, "LF")
    expected = np.maximum(0, 20 - real).mean() + generated.mean()
    assert d_loss == pytest.approx(float(expected), rel=1e-5)
    (_, g_plain), _ = evaluate("ebgan", lambda judge: judge)
    (_, g_flipped), _ = evaluate("ebgan", lambda judge: judge, "LF")
    moved = np.maximum(0, 20 - generated).mean() - generated.mean()
    assert g_flipped - g_plain == pytest.approx(float(moved), rel=1e-4)
    made = nets(**(NETS | ENERGY))
    plain, flipped = (ebgan.score(made, X, KEY, hparams(tricks))[0] for tricks in ("none", "LF"))
    np.testing.assert_array_equal(flipped["energy"], -plain["energy"])
    np.testing.assert_array_equal(flipped["image"], plain["image"])


@pytest.mark.parametrize("loss", [0, 1], ids=["discriminator", "generator"])
@pytest.mark.parametrize("name", sorted(SYSTEMS.keys() - {"ganomaly", "skip_ganomaly"}))
def test_all_images_that_a_judge_sees_are_noisy(name, loss):
    """Real and generated alike, in every loss that asks D; latents are not."""
    seen = {tricks: watched(name, loss, tricks, "discr") for tricks in ("none", "IN")}
    assert len(seen["IN"]) == len(seen["none"]) > 0
    for clean, noisy in zip(seen["none"], seen["IN"], strict=True):
        difference = np.asarray(noisy - clean)
        if clean.ndim == 4:
            assert 0.5 < difference.std() < 1.0  # σ = .75 in the first epoch
        else:
            np.testing.assert_array_equal(difference, 0)


def watched(name, loss, tricks, which):
    """What the nets whose names hold `which` are given in a loss."""
    seen, other = [], SYSTEMS[name][3]

    def watch(net, *inputs, key=None):
        seen.extend(jax.lax.stop_gradient(x) for x in inputs)
        return net(*inputs)

    every = NETS | JUDGES | other
    made = nets(**{key: partial(watch, net) if which in key else net for key, net in every.items()})
    part = SYSTEMS[name][loss]
    if name == "fanogan_critic":  # the penalty's own points are seen inside a gradient
        part = make_gan_losses(WASSERSTEIN, False)[loss]
    part(made, BATCH, KEY, hparams(tricks))
    return seen


@pytest.mark.parametrize("loss", [0, 1], ids=["discriminator", "generator"])
def test_ganomaly_s_noise_is_on_the_generator_s_input(loss):
    clean, noisy = (watched("ganomaly", loss, tricks, "encoder")[0] for tricks in ("none", "IN"))
    assert 0.9 < float((noisy - clean).std()) < 1.6  # σ = 1.25 in the first epoch
    judged = watched("ganomaly", loss, "IN", "discriminator")
    assert any((np.asarray(images) == X).all() for images in judged) or loss  # real ones are clean


@pytest.mark.parametrize("loss", [0, 1], ids=["discriminator", "generator"])
def test_skip_ganomaly_s_noise_is_on_the_rebuilt_image(loss):
    (real, rebuilt), (same, noisy) = (
        watched("skip_ganomaly", loss, tricks, "discriminator") for tricks in ("none", "IN")
    )
    np.testing.assert_array_equal(same, real)
    assert 0.9 < float((noisy - rebuilt).std()) < 1.6


@pytest.mark.parametrize("name", SYSTEMS)
def test_soft_labels_are_the_discriminator_s(name):
    plain, _ = evaluate(name, lambda judge: judge)
    soft, _ = evaluate(name, lambda judge: judge, "SL")
    assert soft[0] != pytest.approx(plain[0], rel=1e-4)
    assert soft[1] == pytest.approx(plain[1], rel=1e-6)
