"""The short part of experiments/faults.py: a few faults of every kind in a tiny system."""

import os

import numpy as np
import pytest

from tests.faults.harness import Server, server
from tests.faults.trials import prepare, reference, spread, try_fault, try_flip

SYSTEM = "autoencoder"


@pytest.fixture(scope="module")
def warm(tmp_path_factory) -> Server:
    cache = os.environ.get("JAX_COMPILATION_CACHE_DIR", tmp_path_factory.mktemp("cache"))
    with server(cache) as process:
        yield process


@pytest.fixture(scope="module")
def folders(warm, tmp_path_factory):
    return prepare(warm, SYSTEM, tmp_path_factory.mktemp("faults") / SYSTEM)


@pytest.fixture(scope="module")
def known(warm, folders):
    """References by mode, made when first asked for."""
    made = {}

    def of(mode: str):
        if mode not in made:
            start = folders.fresh if mode.startswith("train") else folders.trained
            made[mode] = reference(warm, SYSTEM, mode, start, folders.trial)
        return made[mode]

    return of


@pytest.mark.parametrize(
    ("mode", "fault"),
    [
        ("train_and_evaluate", "kill"),
        ("train_and_evaluate", "SIGTERM"),
        ("train_and_evaluate", "ENOSPC"),
        ("evaluate", "kill"),
        ("evaluate", "SIGHUP"),
        ("evaluate", "EIO"),
        ("score", "kill"),
        ("score", "SIGINT"),
        ("score", "ENOSPC"),
        ("export", "EIO"),
    ],
)
def test_a_fault_loses_nothing(warm, known, mode, fault):
    normal = known(mode)
    for at in spread(normal.events, 2 if fault == "kill" else 1):
        verdict = try_fault(warm, SYSTEM, mode, normal, fault, at)
        assert not verdict.problem, f"{verdict.fault}: {verdict.problem}\n{verdict.outcome.output}"


def test_a_fault_that_loses_something_is_seen(warm, known):
    """The comparison can fail: the reference of another run is not met."""
    normal = known("score")
    other = normal._replace(results=normal.results | {"out/scores.csv": "other"})
    verdict = try_fault(warm, SYSTEM, "score", other, "kill", 1)
    assert verdict.outcome.code == -9
    assert verdict.problem == "differ: out/scores.csv"


def test_flipped_bits_are_named_or_harmless(warm, folders):
    draw = np.random.default_rng(1)
    normal = reference(warm, SYSTEM, "evaluate", folders.scored, folders.trial)
    files = sorted(
        path.relative_to(folders.scored).as_posix()
        for path in (folders.scored / "run").rglob("*")
        if path.is_file()
    )
    arrays = [name for name in files if "/d/" in name and name.startswith("run/checkpoints")]
    chosen = [arrays[0], "run/config.json", "run/normal.npz", *draw.choice(files, 3)]
    for name in chosen:
        verdict = try_flip(warm, SYSTEM, "evaluate", normal, name, draw)
        assert not verdict.problem, f"{verdict.fault}: {verdict.problem}\n{verdict.outcome.output}"
