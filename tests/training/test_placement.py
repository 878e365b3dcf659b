"""Training over several devices gives what it gives on one."""

import json
import signal

import jax
import numpy as np
import pytest

from semad.training import loop
from semad.training.placement import group_of, placement
from semad.utils import backend
from tests import tiny

SHARED = backend.CPU._replace(devices_share_training=True)
DEVICES = len(jax.local_devices())

pytestmark = pytest.mark.skipif(DEVICES < 2, reason="one device")


def losses(workdir):
    lines = [json.loads(line) for line in (workdir / "log.jsonl").read_text().splitlines()]
    return [value for line in lines for key, value in line.items() if "loss" in key]


def weights(state):
    return jax.tree.leaves(jax.device_get(state.weights))


def train(name, workdir, plan, **changes):
    """A short run by gradient descent: Adam turns the rounding of sums into whole steps."""
    run = tiny.with_gradient_descent(tiny.prepare(name, **changes))
    return loop.train(run, workdir, plan)


# Batch norm alone; spectral norm; three updates of G and batch statistics of three phases.
@pytest.mark.parametrize("name", ["bigan", "ganomaly", "sencebgan"])
def test_a_batch_is_shared_out(name, tmp_path):
    single = train(name, tmp_path / "single", backend.CPU)
    shared = train(name, tmp_path / "shared", SHARED)
    np.testing.assert_allclose(losses(tmp_path / "single"), losses(tmp_path / "shared"), rtol=1e-4)
    for a, b in zip(weights(single), weights(shared), strict=True):
        # Of biases before batch norm, whose gradients are 0, there is only rounding: by jax 0.11
        # and 0.12 it is up to 2e-5 in GANomaly, whose losses are sums; kernels are of 2e-2.
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=5e-5)
    assert all(leaf.devices() == {jax.devices()[0]} for leaf in jax.tree.leaves(shared.weights))


@pytest.mark.parametrize("name", ["dense_discriminator", "inpainting"])
def test_a_cpu_of_two_devices_halves_the_batches_of_methods_that_gain(name, tmp_path):
    run = tiny.with_gradient_descent(tiny.prepare(name))
    assert run.method.halves_batch_on_cpu
    alone = run.system._replace(method=run.method._replace(halves_batch_on_cpu=False))
    single = loop.train(run._replace(system=alone), tmp_path / "single", backend.CPU)
    halved = loop.train(run, tmp_path / "halved", backend.CPU)
    np.testing.assert_allclose(losses(tmp_path / "single"), losses(tmp_path / "halved"), rtol=1e-5)
    # They differ at all: else nothing was halved.
    assert any((a != b).any() for a, b in zip(weights(single), weights(halved), strict=True))
    for a, b in zip(weights(single), weights(halved), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_members_are_shared_out(tmp_path):
    plan, seeds = {"narrow_members_together": True}, {"population__seeds": DEVICES}
    single = train("bigan", tmp_path / "single", backend.CPU._replace(**plan), **seeds)
    shared = train("bigan", tmp_path / "shared", SHARED._replace(**plan), **seeds)
    for a, b in zip(weights(single), weights(shared), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("width", "members", "group"),
    [(0.25, 3, 3), (1.0, DEVICES + 1, 1), (1.0, 2 * DEVICES, DEVICES)],
)
def test_wide_members_train_one_by_one_on_each_device(width, members, group):
    assert group_of(backend.ACCELERATOR, width, members) == group
    assert group_of(backend.CPU, width, members) == 1


@pytest.mark.parametrize("plans", [(SHARED, backend.CPU), (backend.CPU, SHARED)])
def test_a_run_goes_on_with_another_number_of_devices(tmp_path, monkeypatch, plans):
    """With the newest state, and with the best so far, that one or several devices have saved."""
    first, second = plans

    class Stopped(loop.Log):
        def advance(self, count):
            super().advance(count)
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(loop, "Log", Stopped)
    with pytest.raises(loop.Interrupted):
        train("bigan", tmp_path / "mixed", first, train__validate_every=1)
    monkeypatch.undo()
    mixed = train("bigan", tmp_path / "mixed", second, train__validate_every=1)
    single = train("bigan", tmp_path / "single", backend.CPU, train__validate_every=1)
    for a, b in zip(weights(mixed), weights(single), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("members", "batch", "shares"),
    [
        (DEVICES, DEVICES + 1, "members"),
        (1, 2 * DEVICES, "batch"),
        (1, 2 * DEVICES + 1, "nothing"),
    ],
)
def test_what_is_shared_follows_from_the_sizes(members, batch, shares):
    placed = placement(SHARED, tiny.BUILT["bigan"], members, batch)
    axes = {"members": (("devices",), None), "batch": ((), ("devices",)), "nothing": ((), None)}
    state = tuple(getattr(placed.state, "spec", ()))
    assert (state, placed.batch and tuple(placed.batch.spec)) == axes[shares]
