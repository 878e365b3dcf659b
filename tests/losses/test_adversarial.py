"""GAN losses: tricks exactly as defined, objectives, penalties, health."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from semad.losses import adversarial
from semad.losses.adversarial import CROSS_ENTROPY, WASSERSTEIN, GanLoss, energy_margin
from semad.methods.common import LATE_NOISE

KEY = jax.random.key(0)
MANY = 20_000


def gan_loss(combination="none", progress=0.0, key=KEY, **changes):
    hparams = {n: jnp.float32(v) for n, v in adversarial.trick_hparams(combination).items()}
    return GanLoss(key, jnp.float32(progress), hparams, **changes)


def targets(combination, **changes):
    """D's targets for real and generated examples, read off an objective that returns them."""
    seen = []
    probe = adversarial.Objective(
        lambda answers, target: seen.append(np.asarray(target)) or answers, lambda *_: {}
    )
    gan_loss(combination, **changes).discriminator_loss(probe, jnp.zeros(MANY), jnp.zeros(MANY))
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
    on_real, on_generated = jax.random.normal(KEY, (2, 64)) * 3
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
    assert terms["distance"] == pytest.approx(2.0)
    assert gan_loss().generator_loss(WASSERSTEIN, on_generated) == pytest.approx(0.5)


def test_health():
    flat = CROSS_ENTROPY.health(jnp.zeros(4), jnp.zeros(4))
    sure = CROSS_ENTROPY.health(jnp.full(4, 30.0), jnp.full(4, -30.0))
    assert flat["saturation"] == 0
    assert sure["saturation"] == pytest.approx(1)
    hinge = energy_margin(20.0).health(jnp.array([1.0, 3.0]), jnp.array([5.0, 25.0]))
    assert hinge == {"hinge_active": pytest.approx(0.5), "energy_gap": pytest.approx(13.0)}
    images = jax.random.uniform(KEY, (8, 4, 4, 1))
    assert adversarial.spread(images, images) == pytest.approx(1)
    assert adversarial.spread(jnp.repeat(images[:1], 8, axis=0), images) == pytest.approx(
        0, abs=1e-6
    )


def test_gradient_penalty():
    real, generated = jax.random.normal(KEY, (2, 6, 4, 4, 1))
    direction = jax.random.normal(jax.random.key(1), (4, 4, 1))
    direction /= jnp.linalg.norm(direction)

    def critic(slope):
        return lambda images: slope * (images * direction[None]).sum(axis=(1, 2, 3))

    for slope, expected in ((1.0, 0.0), (3.0, 4.0), (0.0, 1.0)):
        penalty = adversarial.gradient_penalty(critic(slope), real, generated, KEY)
        assert penalty == pytest.approx(expected, abs=1e-5)


def test_gradient_penalty_is_per_sample_over_all_pixels():
    """A critic of slope |x| per pixel: the norm at x̂ is that of x̂ itself."""
    real = jnp.full((2, 2, 2, 1), 0.5)
    real = real.at[1].set(1.5)
    penalty = adversarial.gradient_penalty(
        lambda images: jnp.square(images).sum(axis=(1, 2, 3)) / 2, real, real, KEY
    )
    # Norms over four pixels: 2·0.5 = 1 and 2·1.5 = 3.
    assert penalty == pytest.approx(((1 - 1) ** 2 + (3 - 1) ** 2) / 2, rel=1e-5)


def test_pull_away():
    same = jnp.tile(jnp.array([[1.0, -2.0, 3.0]]), (4, 1))
    assert adversarial.pull_away(same) == pytest.approx(1.0, rel=1e-5)
    assert adversarial.pull_away(jnp.eye(4) * 7) == pytest.approx(0.0, abs=1e-6)
    # Cosines 1/√2, 0 and 1/√2 between three pairs, squared: (1/2 + 0 + 1/2) / 3.
    three = jnp.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    assert adversarial.pull_away(three) == pytest.approx(1 / 3, rel=1e-5)
