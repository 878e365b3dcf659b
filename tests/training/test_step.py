"""Updates on a toy method whose gradients are known, then on the real ones."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from semad.data.patches import PatchSampling, stack
from semad.run.state import init_population, init_state, member
from semad.training.step import Average, apply_update, make_orders, moved_average, phase_step
from semad.types import Batch, Method, Net, Phase, Update, Weights
from tests import tiny


class Scale(nn.Module):
    """x -> a·x, with a running statistic that counts calls in training mode."""

    start: float

    @nn.compact
    def __call__(self, x, train):
        calls = self.variable("batch_stats", "calls", lambda: jnp.zeros(()))
        if train:
            calls.value += 1
        return self.param("a", nn.initializers.constant(self.start), ()) * x


def toy(first, second, repeat=1):
    """Two nets f: x -> 2x and g: x -> 3x; plain gradient descent, two phases."""
    sgd = optax.identity()
    update = partial(Update, optimizer=sgd)
    return Method(
        name="toy",
        nets={"f": Net(Scale(2.0), ((1,),)), "g": Net(Scale(3.0), ((1,),))},
        latent_dim=2,
        phases=(
            Phase("one", 1, (update("f", ("f",), first, repeat=repeat),)),
            Phase("two", 1, (update("g", ("g",), second),)),
        ),
        hparams={"lr_f": 0.1, "lr_g": 0.01},
        score=None,
        default_score="",
    )


def product(nets, batch, key, hparams):
    """f(g(1)) = a_f · a_g; called twice on f, to count its statistics."""
    one = jnp.ones((1,))
    value = (nets.f(nets.g(one)) + nets.f(nets.g(one))).sum() / 2
    return value, {"value": value}


HPARAMS = {"lr_f": jnp.float32(0.1), "lr_g": jnp.float32(0.01)}
IMAGES = stack([np.zeros((32, 32, 1), np.uint8)] * 4)
SAMPLING = PatchSampling(patch_size=32, crops_per_image=1, batch_size=2, flips=False)


def orders(method, phase, state, images=4, steps=1):
    """Of the next steps of one member."""
    draw = make_orders(method.phases[phase], 0, SAMPLING, images, steps)
    group = draw(jax.tree.map(lambda leaf: leaf[None], state))
    return jax.tree.map(lambda leaf: leaf[0], group)


def test_an_update_moves_its_own_nets_down_the_gradient():
    method = toy(product, product)
    state = init_state(method, 0)
    update = method.phases[0].updates[0]
    training = frozenset({"f", "g"})
    new, terms = apply_update(method, update, training, state, None, None, HPARAMS)
    # d(a_f·a_g)/d a_f = a_g = 3, so a_f = 2 - 0.1·3.
    assert new.weights.params["f"]["a"] == pytest.approx(1.7)
    assert new.weights.params["g"]["a"] == 3.0
    assert terms == {"loss": pytest.approx(6.0), "value": pytest.approx(6.0)}
    # Both nets ran in training mode, twice; only f's statistics are kept.
    assert new.weights.batch_stats["f"]["calls"] == 2
    assert new.weights.batch_stats["g"]["calls"] == 0


def test_a_net_that_the_phase_does_not_train_is_seen_as_at_test_time():
    method = toy(product, product)
    state = init_state(method, 0)
    ema = state.ema._replace(params=state.ema.params | {"f": {"a": jnp.float32(7.0)}})
    step = phase_step(method, method.phases[1], 0, SAMPLING, Average(0.5, 1.0))
    new, terms = step(state._replace(ema=ema), IMAGES, HPARAMS, orders(method, 1, state))
    # Trained against the average a_f = 7, not against the raw a_f = 2.
    assert terms["g/loss"] == pytest.approx(21.0)
    assert new.weights.params["g"]["a"] == pytest.approx(3 - 0.01 * 7)
    assert new.weights.params["f"]["a"] == 2.0
    assert new.ema.params["f"]["a"] == 7.0
    assert new.ema.batch_stats["f"]["calls"] == 0


def test_repeated_updates_get_fresh_batches_and_keys():
    seen = []

    def watch(nets, batch, key, hparams):
        seen.append((batch, key))
        return product(nets, batch, key, hparams)

    method = toy(watch, product, repeat=3)
    images = IMAGES._replace(pixels=jnp.arange(4, dtype=jnp.uint8).reshape(4, 1, 1, 1))
    images = images._replace(pixels=jnp.broadcast_to(images.pixels, (4, 32, 32, 1)))
    step = phase_step(method, method.phases[0], 0, SAMPLING, Average(0.5, 1.0))
    state = init_state(method, 0)
    new, _ = step(state, images, HPARAMS, orders(method, 0, state, len(images.pixels)))
    assert new.step == 1
    assert new.weights.params["f"]["a"] == pytest.approx(2 - 3 * 0.3)
    assert len({str(jax.random.key_data(key)) for _, key in seen}) == 3
    first, second, third = (np.unique(np.asarray(batch.images)) for batch, _ in seen)
    assert len(first) == len(second) == 2
    assert len(third) == 2
    assert not np.intersect1d(first, second).size  # an epoch of 4 images is two batches of 2


def test_a_phase_may_keep_a_share_of_the_average_from_before():
    method = toy(product, product)
    rates = HPARAMS | {name: 0.0 for name in HPARAMS if name.startswith("lr_")}
    phase = method.phases[0]._replace(kept=0.25, epochs=3)
    state = init_state(method, 0)
    before = jax.tree.map(lambda leaf: leaf + 8, state.ema.params)
    state = state._replace(ema=state.ema._replace(params=before))
    step = phase_step(method, phase, 0, SAMPLING, Average(0.5, 1.0))
    drawn = orders(method, 0, state, steps=3 * 2)
    for _ in range(3 * 2):  # epochs of two batches
        state, _ = step(state, IMAGES, rates, drawn)
    # The weights stand still, so a quarter of the distance is left.
    assert state.ema.params["f"]["a"] == pytest.approx(2 + 8 / 4)


@pytest.mark.parametrize(("kept", "rates"), [(0.0, (0.1, 0.1, 0.1, 0.05)), (0.5, (0.1,) * 4)])
def test_learning_rates_cool_down_at_the_end_of_a_phase(kept, rates):
    """Of four steps the last half: 3/4 done leaves a quarter of half of the phase, so half."""
    method = toy(product, product)
    phase = method.phases[0]._replace(epochs=2, kept=kept)
    state = init_state(method, 0)
    step = phase_step(method, phase, 0, SAMPLING, Average(0.5, 1.0), cooldown=0.5)
    drawn = orders(method, 0, state, steps=4)
    for rate in rates:
        before = state.weights.params["f"]["a"]
        state, _ = step(state, IMAGES, HPARAMS, drawn)
        # d(a_f·a_g)/d a_f = a_g = 3.
        assert state.weights.params["f"]["a"] == pytest.approx(before - 3 * rate)


@pytest.mark.parametrize(
    ("step", "share", "decay"),
    [
        (0, 1 / 9, 1 / 10), (1, 1 / 9, 2 / 11), (90, 1 / 9, 0.9), (10_000, 1 / 9, 0.9),
        (99, 0.025, 1 - 1 / 3.5), (10_000, 0.025, 0.9), (10_000, 0.0, 0.0),
    ],
)  # fmt: skip
def test_the_average_has_a_window_of_a_share_of_the_run(step, share, decay):
    """At step 100 a fortieth is 2.5 steps more than one; a share of 0 is no average at all."""
    old = Weights({"f": jnp.zeros(2), "g": jnp.zeros(2)}, {"f": {}, "g": {}})
    new = Weights({"f": jnp.ones(2), "g": jnp.ones(2)}, {"f": {}, "g": {}})
    moved = moved_average(old, new, frozenset({"f"}), jnp.int32(step), Average(0.9, share))
    np.testing.assert_allclose(moved.params["f"], 1 - decay, rtol=1e-5)
    np.testing.assert_array_equal(moved.params["g"], 0)


# Every switch that changes what is trained, beside the defaults.
VARIANTS = (
    ("autoencoder", {"model__form": "regularised"}),
    ("autoencoder", {"model__form": "denoising"}),
    ("alad", dict.fromkeys(("model__allow_xx", "model__allow_zz", "model__spectral_norm"), False)),
    ("ganomaly", {"loss__reconstruction": "ssim", "loss__noise": 0.1}),
    ("ganomaly", {"loss__adversarial_term": "features", "loss__reduction": "mean"}),
    ("ganomaly", {"data__normalisation": "standardise", "model__spectral_norm": False}),
    ("encebgan", {"loss__encoder_objective": "energy"}),
    ("fanogan", {"loss__objective": "wgan", "loss__encoder_objective": "ziz"}),
    ("fanogan", {"loss__objective": "gan", "loss__encoder_objective": "izi"}),
    ("ebgan", {"loss__objective": "wgan"}),
    ("ebgan", {"loss__objective": "wgan_gp"}),
    ("sencebgan", {"model__allow_xx": True, "model__allow_zz": True}),
)
SYSTEMS = [*((name, {}) for name in tiny.NAMES), *VARIANTS]


@pytest.fixture(
    scope="module",
    params=SYSTEMS,
    ids=lambda case: "-".join([case[0], *map(str, case[1].values())]),
)
def trained_once(request):
    """Updates with their steps, and a state; Xavier's larger weights: every net has a say."""
    name, changes = request.param
    run = tiny.prepare(name, model__init="xavier", **changes)
    hparams = {name: jnp.float32(value) for name, value in run.method.hparams.items()}
    return compiled(run.method), member(init_population(run.method, [0]), 0), hparams


def batch(count=16):
    images = jax.random.uniform(jax.random.key(1), (count, 16, 16, 1), minval=-1, maxval=1)
    return Batch(images, jax.random.normal(jax.random.key(3), (count, 8)), jnp.float32(0))


def compiled(method):
    """Every update with its step."""
    return [
        (update, jax.jit(partial(apply_update, method, update, training)))
        for phase in method.phases
        for training in [frozenset(name for update in phase.updates for name in update.trains)]
        for update in phase.updates
    ]


def test_which_parameters_move(trained_once):
    steps, state, hparams = trained_once
    for update, step in steps:
        new, _ = step(state, batch(), jax.random.key(2), hparams)
        for name in state.weights.params:
            for part in ("params", "batch_stats"):
                before = getattr(state.weights, part)[name]
                after = getattr(new.weights, part)[name]
                same = jax.tree.map(lambda a, b: bool((a == b).all()), before, after)
                leaves = jax.tree.leaves(same)
                if name in update.trains:
                    # A kernel of one number over its spectral norm is ±1: nothing to learn.
                    stuck = [
                        path
                        for (path, stays), leaf in zip(
                            jax.tree_util.tree_leaves_with_path(same),
                            jax.tree.leaves(before),
                            strict=True,
                        )
                        if path[-1].key == "kernel" and leaf.size > 1 and stays
                    ]
                    assert not leaves or not all(leaves), (update.name, name, part)
                    assert not stuck, (update.name, name, stuck)
                else:
                    assert all(leaves), (update.name, name, part)


def test_a_small_step_lowers_the_update_s_own_loss(trained_once):
    steps, state, hparams = trained_once
    still, slow = (
        hparams | {name: jnp.float32(rate) for name in hparams if name.startswith("lr_")}
        for rate in (0.0, 1e-4)
    )
    key = jax.random.key(2)
    for update, step in steps:
        for _ in range(30):  # spectral normalisation finds its singular values step by step
            state, _ = step(state, batch(), key, still)
        new, before = step(state, batch(), key, slow)
        _, after = step(new, batch(), key, slow)
        assert after["loss"] < before["loss"], update.name


def test_every_net_has_a_learning_rate_and_every_rate_a_net(trained_once):
    _, state, hparams = trained_once
    rates = {name.removeprefix("lr_") for name in hparams if name.startswith("lr_")}
    assert rates == set(state.weights.params)
