"""Validation by reconstruction on held-out normal patches: which state is kept, and found again."""

import json

import jax
import numpy as np
import pytest

from semad.config.settings import with_values
from semad.errors import UserError
from semad.run import workdir as workdirs
from semad.run.state import init_population, member
from semad.run.system import with_settings
from semad.selection.measures import validation_measure
from semad.training import loop, validation
from tests import tiny


def logged(workdir, key="validation/reconstruction"):
    lines = [json.loads(line) for line in (workdir / "log.jsonl").read_text().splitlines()]
    return {line["step"]: line[key] for line in lines if key in line}


def best(run, workdir):
    settings = with_values(run.settings, {"eval.checkpoint": "best"})
    return workdirs.restore(workdir, with_settings(run.system, settings))


def test_the_best_state_is_the_one_with_the_lowest_loss(tmp_path):
    run = tiny.prepare("autoencoder", train__epochs=2, train__validate_every=3, lr__decoder=0.03)
    loop.train(run, tmp_path)
    losses = logged(tmp_path)
    assert list(losses) == [3, 6, 9, 12, 14]
    lowest = min(losses.values())
    kept = best(run, tmp_path)
    assert losses[int(kept.step[0])] == lowest
    measured = validation.by_reconstruction(run)(kept, 0)
    np.testing.assert_allclose(measured, [lowest], rtol=1e-5)


def test_each_member_keeps_its_own_best():
    run = tiny.prepare("autoencoder", population__seeds=2)
    first = init_population(run.method, [0, 1])
    second = init_population(run.method, [2, 3])
    mixed = validation._choose(np.array([True, False]), first, second)
    for number, source in enumerate((first, second)):
        kept, expected = (
            jax.tree.leaves(member(state, number).weights) for state in (mixed, source)
        )
        for a, b in zip(kept, expected, strict=True):
            np.testing.assert_array_equal(a, b)
        keys = [jax.random.key_data(state.key[number]) for state in (mixed, source)]
        np.testing.assert_array_equal(*keys)


def test_a_resumed_run_remembers_its_best(tmp_path):
    settings = {"train__validate_every": 3}
    loop.train(tiny.prepare("autoencoder", train__epochs=1, **settings), tmp_path)
    run = tiny.prepare("autoencoder", train__epochs=2, **settings)
    before = best(run, tmp_path)
    # From here on everything gets worse, so the best must stay what it was.
    loop.train(tiny.with_learning_rate(run, 1.0), tmp_path)
    losses = logged(tmp_path)
    assert losses[14] > losses[7]
    assert int(best(run, tmp_path).step[0]) == int(before.step[0])


def test_only_the_last_phase_counts(tmp_path):
    """Before it, the encoder that reconstructs is not even trained."""
    run = tiny.prepare("fanogan", train__validate_every=3)
    loop.train(run, tmp_path)
    assert min(logged(tmp_path)) > 7
    assert int(best(run, tmp_path).step[0]) > 7


def test_a_system_that_searches_has_no_best(tmp_path):
    run = tiny.prepare("anogan", search__recipe="published", train__encoder_epochs=0)
    loop.train(run, tmp_path)
    with pytest.raises(UserError, match="no best checkpoint.*--config.eval.checkpoint=newest"):
        best(run, tmp_path)


def test_it_can_be_left_out(tmp_path):
    loop.train(tiny.prepare("autoencoder", train__validate_every=0), tmp_path)
    assert not logged(tmp_path)


def test_validation_by_synthetic_defects(tmp_path):
    """Of a system without reconstructions; two members, each measured with its own weights."""
    settings = {"data__name": "nanofibres", "data__image_size": 72, "data__train_images": 2}
    run = tiny.prepare(
        "dense_discriminator",
        train__validation="synthetic",
        train__validate_every=3,
        data__crops=96,
        population__seeds=2,
        **settings,
    )
    assert run.sampling.crops_per_image == 48
    loop.train(run, tmp_path, measure=validation_measure(run))
    values = logged(tmp_path, "validation/synthetic")
    assert list(values) == [3, 6]
    kept = best(run, tmp_path)
    measured = validation_measure(run)(kept, 0)
    assert measured[0] != measured[1]
    assert all(-1 <= value < 0 for value in measured)
    np.testing.assert_allclose(measured, np.min(list(values.values()), axis=0), rtol=1e-4)


def test_by_default_reconstruction_validates():
    assert validation_measure(tiny.prepare("autoencoder")) is None
