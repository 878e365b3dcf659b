"""Random numbers follow from names: what joins or leaves a system changes nothing of the others."""

import itertools

import jax
import numpy as np
import pytest

from semad.run.state import init_state, member
from semad.training.step import average, make_orders, make_program, phase_step
from semad.utils.rng import Stream, stream
from tests import tiny

KEY = jax.random.key(0)


def test_no_two_streams_share_numbers():
    names = [*Stream, "real", "generated", "rebuilt", "input", "again", "xx", "zz", "encoder"]
    data = {str(jax.random.key_data(stream(KEY, name))) for name in names}
    assert len(data) == len(names)


def same(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("method", "keys"),
    [
        ("sencebgan", ("model__allow_xx", "model__allow_zz")),
        ("alad", ("model__allow_xx", "model__allow_zz")),
    ],
)
def test_a_switch_does_not_change_the_start_of_other_nets(method, keys):
    starts = []
    for on in itertools.product((False, True), repeat=2):
        run = tiny.prepare(method, **dict(zip(keys, on, strict=True)))
        starts.append(jax.jit(lambda run=run: init_state(run.method, 0).weights.params)())
    for start in starts[1:]:
        for net in starts[0].keys() & start.keys():
            same(starts[0][net], start[net])


def test_equal_nets_of_other_names_start_otherwise():
    params = init_state(tiny.prepare("sencebgan").method, 0).weights.params
    kernels = [params[net]["Dense_0"]["kernel"] for net in ("encoder", "return_encoder")]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-4


def test_a_switch_does_not_change_the_batches_or_the_first_phase():
    """The first steps of SENCEBGAN's phase `gan` are the same to the bit with D_xx and without."""
    states = []
    for on in (False, True):
        run = tiny.prepare("sencebgan", model__allow_xx=on)
        step = phase_step(
            run.method, run.method.phases[0], 0, run.sampling, average(run.settings.train)
        )
        state = jax.tree.map(lambda leaf: leaf[None], init_state(run.method, 0))
        hparams = {name: np.float32([value]) for name, value in run.method.hparams.items()}
        count = run.train.pixels.shape[0]
        orders = make_orders(run.method.phases[0], 0, run.sampling, count, 1)(state)
        state, _ = make_program(step, 1)(state, run.train, hparams, orders)
        states.append(member(state, 0))
    for net in ("generator", "discriminator"):
        same(states[0].weights.params[net], states[1].weights.params[net])
