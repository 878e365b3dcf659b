"""GAN losses: tricks exactly as defined, objectives, penalties, health."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from semad.losses import adversarial
from semad.losses.adversarial import CROSS_ENTROPY, WASSERSTEIN, GanLoss, energy_margin
from semad.methods.common import LATE_NOISE
from semad.utils.rng import stream

MANY = 20_000


def key(seed=0):
    """Made when it is asked for: JAX computes nothing while tests are collected."""
    return jax.random.key(seed)


def gan_loss(combination="none", progress=0.0, seed=0, **changes):
    hparams = {n: jnp.float32(v) for n, v in adversarial.trick_hparams(combination).items()}
    return GanLoss(key(seed), jnp.float32(progress), hparams, **changes)


def targets(combination, count=MANY, **changes):
    """D's targets for real and generated examples, read off an objective that returns them."""
    seen = []
    probe = adversarial.Objective(
        lambda answers, target: seen.append(np.asarray(target)) or answers, lambda *_: {}
    )
    gan_loss(combination, **changes).discriminator_loss(probe, jnp.zeros(count), jnp.zeros(count))
    return seen


def aim(combination, target=1.0):
    seen = []
    probe = adversarial.Objective(
        lambda answers, target: seen.append(float(target)) or answers, lambda *_: {}
    )
    gan_loss(combination).generator_loss(probe, jnp.zeros(2), target)
    return seen[0]


def test_all_eight_combinations_exist():
    values = {tuple(adversarial.trick_hparams(name).values()) for name in adversarial.COMBINATIONS}
    assert values == {(i, s, f) for i in (0.0, 1.0) for s in (0.0, 1.0) for f in (0.0, 1.0)}


def test_the_scalars_of_a_combination():
    on = adversarial.trick_hparams("IN+LF")
    assert on == {"trick_IN": 1.0, "trick_SL": 0.0, "trick_LF": 1.0}
    assert adversarial.real_target(on) == 0
    assert adversarial.real_target(adversarial.trick_hparams("SL")) == 1


@pytest.mark.parametrize("combination", adversarial.COMBINATIONS)
def test_targets(combination):
    real, generated = targets(combination)
    if "LF" in combination:
        real, generated = 1 - real, 1 - generated
    if "SL" not in combination:
        np.testing.assert_array_equal(real, 1)
        np.testing.assert_array_equal(generated, 0)
        return
    for value in (real, 1 - generated):
        flipped = value < 0.5
        assert flipped.mean() == pytest.approx(0.05, abs=0.01)
        soft = value[~flipped]
        assert 0.9 <= soft.min() < 0.901
        assert 0.999 < soft.max() <= 1.0
        assert soft.mean() == pytest.approx(0.95, abs=0.002)
        assert value[flipped].max() <= 0.1 + 1e-6
    assert np.abs(np.corrcoef(real, generated)[0, 1]) < 0.05


@pytest.mark.parametrize("combination", adversarial.COMBINATIONS)
def test_what_the_generator_aims_at(combination):
    """Soft labels are the discriminator's alone."""
    assert aim(combination) == float("LF" not in combination)
    assert aim(combination, 0.0) == float("LF" in combination)
    assert aim(combination, 0.9) == pytest.approx(0.1 if "LF" in combination else 0.9)


@pytest.mark.parametrize("combination", adversarial.COMBINATIONS)
@pytest.mark.parametrize(("epoch", "sigma"), [(0, 0.75), (4, 0.45), (9, 0.075), (49, 0.05)])
def test_input_noise(combination, epoch, sigma):
    """max(0.75·(10 − epoch)/10, 0.05) in a run of 50 epochs, whatever the length of ours."""
    images = jnp.full((50, 16, 16, 1), 0.25)
    gan = gan_loss(combination, epoch / 50)
    noise = np.asarray(gan.add_input_noise(images, "real") - images)
    if "IN" not in combination:
        np.testing.assert_array_equal(noise, 0)
        return
    assert noise.std() == pytest.approx(sigma, rel=0.03)
    assert abs(noise.mean()) < 4 * sigma / np.sqrt(noise.size)
    other = np.asarray(gan.add_input_noise(images, "generated") - images)
    assert abs(np.corrcoef(noise.ravel(), other.ravel())[0, 1]) < 0.05


def test_random_numbers_follow_from_names():
    """Each purpose, and each name within it, has a stream of its own; the names are for ever."""
    gan, images = gan_loss("IN", 0.1), jnp.zeros((2, 3, 3, 1))
    for name in ("real", "generated"):
        noise = jax.random.normal(stream(stream(key(), "input_noise"), name), images.shape)
        np.testing.assert_allclose(gan.add_input_noise(images, name), 0.375 * noise, rtol=1e-6)
        assert gan.dropout_key(name) == stream(stream(key(), "dropout"), name)
    soft = jax.random.uniform(stream(key(), "labels"), (2, 40))
    flipped = jax.random.bernoulli(stream(key(), "label_flips"), 0.05, (2, 40))
    assert flipped.any()
    expected = np.abs(jnp.array([[1.0], [0.0]]) - 0.1 * soft)
    expected = np.where(flipped, 1 - expected, expected)
    np.testing.assert_allclose(targets("SL", count=40), expected, atol=1e-6)


def test_a_schedule_of_its_own():
    """GANomaly's and Skip-GANomaly's noise: max(1.25·(10 − epoch)/10, 1)."""
    expected = {0: 1.25, 1: 1.125, 2: 1.0, 30: 1.0}
    for epoch, sigma in expected.items():
        assert LATE_NOISE.sigma(jnp.float32(epoch / 50)) == pytest.approx(sigma)


def test_soft_labels_that_are_not_flipped():
    real, generated = targets("SL", flipped=0.0)
    assert real.min() >= 0.9
    assert generated.max() <= 0.1 + 1e-6


def test_a_loss_without_some_of_its_tricks():
    gan = gan_loss("IN+SL+LF").without("SL", "LF")
    assert {name: float(value) for name, value in gan.hparams.items()} == adversarial.trick_hparams(
        "IN"
    )


@pytest.mark.parametrize("tricks", ["none", "IN", "SL", "IN+SL"])
def test_flipped_labels_with_cross_entropy_change_names_alone(tricks):
    """An exact symmetry: under LF the losses at negated logits are those without it.

    So `tricks` and `tricks+LF` are two draws of one condition, which the tables pool.
    """
    on_real, on_generated = jax.random.normal(key(), (2, 64)) * 3
    flipped = "LF" if tricks == "none" else f"{tricks}+LF"
    plain, terms = gan_loss(tricks).discriminator_loss(CROSS_ENTROPY, on_real, on_generated)
    other, other_terms = gan_loss(flipped).discriminator_loss(
        CROSS_ENTROPY, -on_real, -on_generated
    )
    assert other == pytest.approx(float(plain), rel=1e-6)
    for name, value in terms.items():
        assert other_terms[name] == pytest.approx(float(value), rel=1e-6), name
    for target in (0.0, 1.0):
        aimed = gan_loss(tricks).generator_loss(CROSS_ENTROPY, on_generated, target)
        turned = gan_loss(flipped).generator_loss(CROSS_ENTROPY, -on_generated, target)
        assert turned == pytest.approx(float(aimed), rel=1e-6)


def test_objectives():
    answers = jnp.array([-2.0, 0.5])
    sigmoid = 1 / (1 + np.exp(-np.asarray(answers)))
    np.testing.assert_allclose(CROSS_ENTROPY.loss(answers, 1.0), -np.log(sigmoid), rtol=1e-5)
    np.testing.assert_allclose(CROSS_ENTROPY.loss(answers, 0.0), -np.log(1 - sigmoid), rtol=1e-5)
    np.testing.assert_allclose(WASSERSTEIN.loss(answers, 1.0), -np.asarray(answers))
    np.testing.assert_allclose(WASSERSTEIN.loss(answers, 0.0), answers)
    margin = energy_margin(20.0)
    energies = jnp.array([5.0, 25.0])
    np.testing.assert_allclose(margin.loss(energies, 1.0), [5, 25])
    np.testing.assert_allclose(margin.loss(energies, 0.0), [15, 0])  # not of the mean
    np.testing.assert_allclose(margin.loss(energies, 0.9), [4.5 + 1.5, 22.5], rtol=1e-6)


def test_losses_of_both_players():
    on_real, on_generated = jnp.array([1.0, 2.0]), jnp.array([0.0, -1.0])
    loss, terms = gan_loss().discriminator_loss(WASSERSTEIN, on_real, on_generated)
    assert loss == pytest.approx(-1.5 - 0.5)
    assert terms == pytest.approx({"real": -1.5, "generated": -0.5, "distance": 2.0})
    assert gan_loss().generator_loss(WASSERSTEIN, on_generated) == pytest.approx(0.5)


def test_health():
    # Probabilities 3/4, 1/4 and 1/2: |2p − 1| is 1/2, 1/2 and 0.
    logits = jnp.log(jnp.array([3.0, 1 / 3])), jnp.zeros(1)
    assert CROSS_ENTROPY.health(*logits) == {"saturation": pytest.approx(1 / 3)}
    flat = CROSS_ENTROPY.health(jnp.zeros(4), jnp.zeros(4))
    sure = CROSS_ENTROPY.health(jnp.full(4, 30.0), jnp.full(4, -30.0))
    assert flat["saturation"] == 0
    assert sure["saturation"] == pytest.approx(1)
    hinge = energy_margin(20.0).health(jnp.array([1.0, 3.0]), jnp.array([5.0, 25.0]))
    assert hinge == {"hinge_active": pytest.approx(0.5), "energy_gap": pytest.approx(13.0)}
    at_the_margin = energy_margin(20.0).health(jnp.zeros(2), jnp.array([20.0, 19.0]))
    assert at_the_margin["hinge_active"] == pytest.approx(0.5)  # no gradient is left at it


def test_spread():
    """Standard deviations per pixel: (0.1, 0.3) of generated images, (0.5, 0.1) of real ones."""
    generated = jnp.array([[0.2, 0.3], [0.4, 0.9]]).reshape(2, 1, 2, 1)
    real = jnp.array([[0.0, 0.3], [1.0, 0.5]]).reshape(2, 1, 2, 1)
    assert adversarial.spread(generated, real) == pytest.approx(0.2 / 0.3)
    assert adversarial.spread(generated, jnp.zeros_like(real)) == pytest.approx(0.2e12)
    images = jax.random.uniform(key(), (8, 4, 4, 1))
    assert adversarial.spread(images, images) == pytest.approx(1)
    assert adversarial.spread(jnp.repeat(images[:1], 8, axis=0), images) == pytest.approx(
        0, abs=1e-6
    )


def test_gradient_penalty():
    real, generated = jax.random.normal(key(), (2, 6, 4, 4, 1))
    direction = jax.random.normal(key(1), (4, 4, 1))
    direction /= jnp.linalg.norm(direction)

    def critic(slope):
        return lambda images: slope * (images * direction[None]).sum(axis=(1, 2, 3))

    for slope, expected in ((1.0, 0.0), (3.0, 4.0), (0.0, 1.0)):
        penalty = adversarial.gradient_penalty(critic(slope), real, generated, key())
        assert penalty == pytest.approx(expected, abs=1e-5)


def test_gradient_penalty_is_per_sample_over_all_pixels():
    """A critic of slope |x| per pixel: the norm at x̂ is that of x̂ itself."""
    real = jnp.full((2, 2, 2, 1), 0.5)
    real = real.at[1].set(1.5)
    penalty = adversarial.gradient_penalty(
        lambda images: jnp.square(images).sum(axis=(1, 2, 3)) / 2, real, real, key()
    )
    # Norms over four pixels: 2·0.5 = 1 and 2·1.5 = 3.
    assert penalty == pytest.approx(((1 - 1) ** 2 + (3 - 1) ** 2) / 2, rel=1e-5)


def test_gradient_penalty_at_points_between_pairs():
    """Of D(x) = Σ x² / 2 the slope is x: the penalty is (‖x̂‖ − 1)² at x̂ = share·real + …"""

    def critic(images):
        return jnp.square(images).sum(axis=(1, 2, 3)) / 2

    real, generated = jax.random.normal(key(), (2, 3, 2, 2, 1))
    share = np.asarray(jax.random.uniform(key(1), (3, 1, 1, 1)))
    between = share * np.asarray(real) + (1 - share) * np.asarray(generated)
    norms = np.sqrt(np.square(between).sum(axis=(1, 2, 3)))
    expected = np.square(norms - 1).mean()
    penalty = adversarial.gradient_penalty(critic, real, generated, key(1))
    assert penalty == pytest.approx(expected, rel=1e-5)
    of_update = gan_loss().penalty(critic, real, generated)
    same = adversarial.gradient_penalty(critic, real, generated, stream(key(), "penalty"))
    assert of_update == same != penalty


def test_pull_away():
    same = jnp.tile(jnp.array([[1.0, -2.0, 3.0]]), (4, 1))
    assert adversarial.pull_away(same) == pytest.approx(1.0, rel=1e-5)
    assert adversarial.pull_away(jnp.eye(4) * 7) == pytest.approx(0.0, abs=1e-6)
    # Cosines 1/√2, 0 and 1/√2 between three pairs, squared: (1/2 + 0 + 1/2) / 3.
    three = jnp.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    for scale in (1.0, 1e-3):  # lengths count for nothing
        assert adversarial.pull_away(scale * three) == pytest.approx(1 / 3, rel=1e-5)
    nothing = jnp.array([[0.0, 0.0], [1.0, 0.0]])
    assert adversarial.pull_away(nothing) == 0
    assert not jnp.isnan(jax.grad(adversarial.pull_away)(nothing)).any()
