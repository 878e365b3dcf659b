"""Every system trains to the same bits as when tests/digests.json was recorded.

Bits depend on the processor and on the versions of XLA; where these differ from the recorded ones,
the scores are compared with a tolerance in place of the digests. After a change that is meant to
change numbers, `python -m tests.test_digests` records them anew; with a name, that system alone.
"""

import hashlib
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

import jax
import jaxlib
import numpy as np
import pytest

import tests.conftest  # noqa: F401  the same XLA flags when run as a script
from semad.run.system import scoring_state
from semad.scoring.batched import make_scorer
from semad.training.loop import train
from tests import tiny

PATH = Path(__file__).with_name("digests.json")


def fingerprint() -> dict[str, str]:
    """What bits depend on beside the code."""
    flags = ""
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags = next((line for line in lines if line.startswith("flags")), "")
    return {
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "machine": platform.machine(),
        "processor": hashlib.sha256(flags.encode()).hexdigest()[:16],
        "xla_flags": os.environ.get("XLA_FLAGS", "").strip(),
    }


def record(name: str) -> dict[str, object]:
    """Trains a system for an epoch of each phase: digests of its state and of its scores."""
    run = tiny.prepare(name)
    with tempfile.TemporaryDirectory() as folder:
        state = train(run, Path(folder))
    member = scoring_state(run.system, state, 0)
    patches = np.stack(run.source.test[:16])
    scores = jax.device_get(make_scorer(run.method)(member, patches).scores)
    leaves, _ = jax.tree.flatten_with_path(state._replace(key=jax.random.key_data(state.key)))
    return {
        "state": digest({jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}),
        "scores": digest(scores),
        "means": {key: float(f"{values.mean():.6g}") for key, values in sorted(scores.items())},
    }


def digest(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 over names, shapes, types and bytes."""
    total = hashlib.sha256()
    for key, values in sorted(arrays.items()):
        total.update(f"{key} {values.shape} {values.dtype}".encode())
        total.update(np.ascontiguousarray(values))
    return total.hexdigest()


@pytest.mark.parametrize("name", tiny.NAMES)
def test_bits_are_as_recorded(name):
    stored = json.loads(PATH.read_text())
    assert name in stored["systems"], f"record it: python -m tests.test_digests {name}"
    found = record(name)
    if fingerprint() == stored["fingerprint"]:
        assert found == stored["systems"][name]
        return
    expected = stored["systems"][name]["means"]
    assert found["means"].keys() == expected.keys()
    for key, value in expected.items():
        assert found["means"][key] == pytest.approx(value, rel=0.02, abs=1e-3), key


def save(names: list[str]) -> None:
    """Records systems: those named, or all.

    A single system can be recorded where the others were alone: bits of two processors differ.
    """
    stored = json.loads(PATH.read_text())
    if not names:
        stored = {"fingerprint": fingerprint(), "systems": {}}
    elif stored["fingerprint"] != fingerprint():
        raise SystemExit("the digests were recorded on another machine; record all of them")
    stored["systems"] |= {name: record(name) for name in names or tiny.NAMES}
    PATH.write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    save(sys.argv[1:])
