"""Two devices of a CPU, in other processes: this one has its devices."""

import os
import subprocess
import sys

import pytest

COUNT = (
    "from semad.utils.cores import split_cpu; split_cpu(); import jax; print(len(jax.devices()))"
)
LATE = "import jax; jax.devices(); from semad.utils.cores import split_cpu; split_cpu(); print(1)"


def devices(code: str, **environment: str) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core")
def test_a_cpu_becomes_two_devices():
    assert devices(COUNT) == "2"


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core")
@pytest.mark.parametrize(
    ("system", "mode", "count"),
    [
        ("recommended", "train", "2"),
        ("inpainting", "train_and_evaluate", "2"),
        ("recommended", "teach", "2"),
        ("recommended", "score", "1"),
        ("ganomaly", "train", "1"),
    ],
)
def test_the_launcher_splits_the_cpu_for_methods_that_gain(system, mode, count):
    code = (
        "from semad import modes; from semad.config.overrides import named; import jax;"
        f"modes.split_cpu_if_it_pays('{mode}', named('{system}', 'smoke'));"
        "print(len(jax.devices()))"
    )
    assert devices(code) == count


@pytest.mark.parametrize(
    "choice",
    [
        {"JAX_NUM_CPU_DEVICES": "1"},
        {"XLA_FLAGS": "--xla_force_host_platform_device_count=1"},
    ],
)
def test_what_the_user_chose_counts(choice):
    assert devices(COUNT, **choice) == "1"


def test_one_core_is_one_device():
    assert (
        devices("import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});" + COUNT)
        == "1"
    )


def test_devices_that_there_are_stay():
    assert devices(LATE) == "1"
