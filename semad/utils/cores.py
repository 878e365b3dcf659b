"""A CPU as two devices, for training whose convolutions run on one core each.

XLA's CPU backend runs each of its fast convolutions on one thread. Where they are most of a step,
as of the dense discriminator, half of each batch on each of two devices takes two thirds of the
time; where matrix products are, which use all cores, it takes longer (docs/performance.md). So a
method says whether it gains, `Method.halves_batch_on_cpu`.
"""

import os
from contextlib import suppress

import jax

DEVICES = 2
"""More have not been measured."""

_SIMULATED = "xla_force_host_platform_device_count"


def split_cpu() -> None:
    """Makes the CPU two devices, before anything asks JAX for any.

    Nothing changes with a single core, where the user has said how many devices there are, or when
    JAX has its devices already. An accelerator is not touched.
    """
    asked = jax.config.values["jax_num_cpu_devices"] > 0 or _SIMULATED in os.environ.get(
        "XLA_FLAGS", ""
    )
    if asked or _cores() < DEVICES:
        return
    with suppress(RuntimeError):  # JAX has its devices
        jax.config.update("jax_num_cpu_devices", DEVICES)


def _cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
