"""Times several programs in one process, in turns."""

import os
import platform
import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from torch.utils.flop_counter import FlopCounterMode


class Case(NamedTuple):
    """Something to time: it returns when it is done.

    Attributes:
      name: unique.
      run: does `units` training steps, or search steps times images; what it returns is ignored.
      units: how many.
      flops: floating-point operations of one unit, from the layers.
    """

    name: str
    run: Callable[[], object]
    units: int
    flops: float


def ceiling_case(name: str) -> Case:
    """A plain matmul of 2048²: what the machine gives at most."""
    a = jnp.ones((2048, 2048))
    multiply = jax.jit(jnp.matmul)
    return Case(name, lambda: jax.block_until_ready(multiply(a, a)), 1, 2.0 * 2048**3)


def work_of(run: Callable[[], object]) -> float:
    """Floating-point operations of PyTorch's products and convolutions in a call."""
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


def measure(cases: list[Case], rounds: int, patience: float) -> list[dict[str, Any]]:
    """Times all cases in turns; one that has run for `patience` seconds sits the rest out.

    Returns:
      A row for each case, medians over the rounds after a first run, which compiles: wall-clock and
      CPU time, the second over all threads. What fails in its first run has `failed`, its error.
    """
    rows = {case.name: {"case": case.name} | _first(case) for case in cases}
    cases = [case for case in cases if "failed" not in rows[case.name]]
    times: dict[str, list[tuple[float, float]]] = {case.name: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            if sum(seconds for seconds, _ in times[case.name]) < patience:
                times[case.name].append(_seconds(case))
    for case in cases:
        seconds, cpu = (median(part) / case.units for part in zip(*times[case.name], strict=True))
        rows[case.name] |= {
            "ms_per_unit": 1e3 * seconds,
            "cpu_ms_per_unit": 1e3 * cpu,
            "gflop_per_s": case.flops / seconds / 1e9,
            "runs": len(times[case.name]),
        }
    return list(rows.values())


def machine() -> dict[str, Any]:
    """The processor, how many threads may run, and how many ran on average in the last minute."""
    return {
        "processor": platform.processor() or platform.machine(),
        "threads": len(os.sched_getaffinity(0)),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "glibc": os.environ.get("GLIBC_TUNABLES", ""),
    }


def _first(case: Case) -> dict[str, Any]:
    try:
        return {"first_run_s": _seconds(case)[0]}
    except Exception as error:  # whatever a compiler raises; the other cases go on
        return {"failed": str(error).strip().splitlines()[0]}


def _seconds(case: Case) -> tuple[float, float]:
    start, cpu = time.perf_counter(), time.process_time()
    case.run()
    return time.perf_counter() - start, time.process_time() - cpu
