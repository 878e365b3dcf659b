"""1, 2 and 8 simulated devices train and score alike, in another process, for pytest has two."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
COUNTS = (1, 2, 8)
STEPS = 3


def main() -> None:
    """Prints, for each number of devices, losses after each step, weights' sums and scores."""
    import jax

    from semad.run.state import init_population
    from semad.run.system import scoring_state
    from semad.scoring import batched
    from semad.training.placement import placement
    from semad.training.step import average, make_orders, make_program, phase_step
    from semad.utils import backend
    from tests import tiny

    all_devices = jax.local_devices()
    # Convolutions as in tests/conftest.py.
    plan = backend.CPU = backend.CPU._replace(
        convolution="native", narrow_convolution="native", devices_share_training=True
    )
    # Batch norm in all nets, and spectral norm in D.
    run = tiny.with_gradient_descent(tiny.prepare("ganomaly", train__batch_size=32))
    patches = np.stack(run.source.test[:16])
    results = {}
    for count in COUNTS:
        jax.local_devices = lambda count=count: all_devices[:count]
        placed = placement(plan, run.method, 1, 32)
        assert len(placed.images.device_set) == count
        assert (placed.batch is None) == (count == 1)
        phase, start, _ = run.phases[0]
        averaged = average(run.settings.train)
        step = phase_step(run.method, phase, start, run.sampling, averaged, placed.share)
        program = make_program(step, 1, placed.state, placed.images)
        state = placed.put(init_population(run.method, run.system.seeds))
        images, hparams = placed.put_images(run.train), placed.put(run.system.hparams)
        image_count, losses = run.train.pixels.shape[0], []
        orders = make_orders(phase, start, run.sampling, image_count, STEPS)(state)
        for _ in range(STEPS):
            state, terms = program(state, images, hparams, orders)
            losses.append([float(terms[name][0, 0]) for name in sorted(terms)])
        if count == 1:
            scoring = scoring_state(run.system, jax.device_get(state), 0)
        scorer = batched.over_devices(batched.make_scorer(run.method))
        scored = scorer(scoring, patches).scores
        leaves = jax.tree.leaves(jax.device_get(state.weights))  # batch statistics among them
        results[count] = {
            "losses": losses,
            "weights": [float(np.abs(leaf).sum()) for leaf in leaves],
            "scores": {name: np.asarray(values).tolist() for name, values in scored.items()},
        }
    print(json.dumps(results))


@pytest.fixture(scope="module")
def results():
    flags = os.environ["XLA_FLAGS"].replace("device_count=2", f"device_count={max(COUNTS)}")
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.test_devices"],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {int(count): result for count, result in json.loads(done.stdout).items()}


@pytest.mark.parametrize("count", COUNTS[1:])
def test_a_step_is_the_same_on_any_number_of_devices(results, count):
    """Batch norm and spectral norm are over the whole batch; else losses differ in the first
    digits."""
    losses, expected = results[count]["losses"], results[1]["losses"]
    np.testing.assert_allclose(losses, expected, rtol=1e-3, atol=1e-6)
    weights, expected = results[count]["weights"], results[1]["weights"]
    np.testing.assert_allclose(weights, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("count", COUNTS[1:])
def test_scores_are_the_same_on_any_number_of_devices(results, count):
    for name, values in results[1]["scores"].items():
        np.testing.assert_allclose(results[count]["scores"][name], values, rtol=1e-5, atol=1e-6)


if __name__ == "__main__":
    main()
