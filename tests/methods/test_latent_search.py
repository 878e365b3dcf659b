"""The search goes where mathematics says, each latent by itself, and never to a worse place."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from semad.methods.latent_search import Descent, search

TARGETS = jnp.array([[1.0, -2.0], [3.0, 0.5], [0.0, 0.0], [-1.0, 4.0], [2.0, 2.0]])
BEGIN = jnp.zeros((5, 1, 2))
NONE_ABSENT = jnp.zeros(5, bool)


def bowl(z, target):
    return jnp.square(z - target).sum()


def test_it_is_gradient_descent():
    """On L(z) = Σ(z - t)², z moves by -2·lr·(z - t): a geometric approach."""
    found = search(bowl, BEGIN, TARGETS, Descent(optax.sgd(0.1), 3), NONE_ABSENT)
    np.testing.assert_allclose(found.z, TARGETS * (1 - 0.8**3), rtol=1e-5)
    np.testing.assert_array_equal(found.steps, 3)


def test_each_latent_has_an_optimiser_of_its_own():
    """Adam's first step is lr in size for a large and for a small gradient alike."""
    scales = jnp.array([1e-3, 1e3])
    found = search(
        lambda z, scale: scale * z.sum(),
        jnp.zeros((2, 1, 2)),
        scales,
        Descent(optax.adam(0.1), 1),
        jnp.zeros(2, bool),
    )
    np.testing.assert_allclose(found.z, -0.1, rtol=1e-3)


def test_no_steps_leave_the_start():
    for keep_best in (False, True):
        descent = Descent(optax.adam(0.1), 0, keep_best)
        found = search(bowl, BEGIN + 3, TARGETS, descent, NONE_ABSENT)
        np.testing.assert_array_equal(found.z, 3)
        np.testing.assert_array_equal(found.steps, 0)


def test_the_best_is_kept_and_never_worse_than_the_start():
    """With lr above 1 every step leads further away."""
    diverging = Descent(optax.sgd(1.5), 6)
    last = search(bowl, BEGIN, TARGETS, diverging, NONE_ABSENT).z
    best = search(bowl, BEGIN, TARGETS, diverging._replace(keep_best=True), NONE_ABSENT).z
    np.testing.assert_allclose(last, TARGETS * (1 - 2.0**6), rtol=1e-5)
    np.testing.assert_array_equal(best, 0)
    # The last z that is evaluated counts: with 4 evaluations the one behind 3 steps.
    converging = Descent(optax.sgd(0.1), 4, keep_best=True)
    found = search(bowl, BEGIN, TARGETS, converging, NONE_ABSENT)
    np.testing.assert_allclose(found.z, TARGETS * (1 - 0.8**3), rtol=1e-5)


@pytest.mark.parametrize("together", [1, 2, 3, 5, 64])
def test_company_changes_nothing(together):
    descent = Descent(optax.adam(0.3), 40, True, tolerance=1e-2, together=together)
    found = search(bowl, BEGIN, TARGETS, descent, NONE_ABSENT)
    order = np.array([3, 1, 4, 0, 2])
    again = search(bowl, BEGIN, TARGETS[order], descent, NONE_ABSENT)
    np.testing.assert_array_equal(again.z, found.z[order])
    np.testing.assert_array_equal(again.steps, found.steps[order])
    alone = [search(bowl, BEGIN[:1], one[None], descent, NONE_ABSENT[:1]) for one in TARGETS]
    np.testing.assert_array_equal(np.concatenate([one.z for one in alone]), found.z)


def test_what_is_done_is_not_evaluated_again():
    """Each turn evaluates at most `together` latents, and none of those that are done."""
    turns = []

    def counted(z, target):
        jax.debug.callback(lambda value: turns.append(float(value)), target[0])
        return bowl(z, target)

    descent = Descent(optax.sgd(0.3), 20, True, tolerance=0.5, patience=2, together=1)
    found = search(counted, BEGIN, TARGETS, descent, NONE_ABSENT)
    jax.effects_barrier()
    steps = dict(zip(TARGETS[:, 0].tolist(), found.steps.tolist(), strict=True))
    assert steps[0.0] == 2  # there already
    assert max(steps.values()) > 4
    for value, count in steps.items():
        assert turns.count(value) == count


def test_a_search_stops_when_it_gains_too_little():
    """Here each step of gradient descent divides the objective by 4, a gain of .75; two of them, of
    15/16."""
    descent = Descent(optax.sgd(0.25), 100, True, patience=2)
    steps = [
        search(
            bowl, BEGIN[:1], TARGETS[:1], descent._replace(tolerance=tolerance), NONE_ABSENT[:1]
        ).steps[0]
        for tolerance in (0.7, 0.8, 0.95)
    ]
    assert steps[0] > 20  # down to nothing, where rounding ends the gain
    assert steps[1:] == [2, 2]  # the first check, at 2, is of one step
    slow = descent._replace(tolerance=0.5, optimizer=optax.sgd(0.05))  # gains .19, and .34 of two
    found = search(bowl, BEGIN[:1], TARGETS[:1], slow, NONE_ABSENT[:1])
    assert found.steps[0] == 2


def test_of_several_starts_the_lowest_end_counts():
    """Two wells, at -1 and deeper at 1; descent stays in the well that it starts in."""

    def wells(z, depth):
        return (jnp.square(jnp.square(z) - 1) - depth * z).sum()

    starts = jnp.array([[-1.0], [0.5], [-0.7]])[None]
    both = jnp.concatenate([starts, starts[:, ::-1]])
    descent = Descent(optax.sgd(0.05), 200)
    found = search(wells, both, jnp.full((2, 1), 0.1), descent, jnp.zeros(2, bool))
    np.testing.assert_allclose(found.z, 1.012, atol=0.01)
    np.testing.assert_array_equal(found.steps, 600)


def test_absent_images_are_not_searched_for():
    absent = jnp.array([False, True, False, True, True])
    found = search(bowl, BEGIN, TARGETS, Descent(optax.sgd(0.1), 7), absent)
    np.testing.assert_array_equal(found.steps, [7, 0, 7, 0, 0])


def test_an_objective_that_is_not_finite_ends_its_search():
    targets = TARGETS.at[1, 0].set(jnp.nan)
    found = search(bowl, BEGIN, targets, Descent(optax.sgd(0.1), 7, True), NONE_ABSENT)
    np.testing.assert_array_equal(found.steps, [7, 1, 7, 7, 7])
    assert np.isfinite(found.z).all()
