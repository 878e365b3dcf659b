"""The table of training steps against PyTorch (`experiments/benchmarks/steps.py`)."""

import json
from typing import Any

from paths import RESULTS

from semad.reports.tables import markdown_line

CASES = ("semad", "torch eager", "torch.compile")
COLUMNS = (
    *("system", "GFLOP a step", "semad, ms", "PyTorch eager, ms", "`torch.compile`, ms"),
    *("PyTorch eager / semad", "`torch.compile` / semad", "semad's share of the ceiling"),
)


def table() -> str:
    """One row per system and size, and where and when they were measured."""
    results = json.loads((RESULTS / "benchmark_steps.json").read_text())
    lines = [markdown_line(COLUMNS), markdown_line(["---"] * len(COLUMNS))]
    lines += [markdown_line(_cells(result)) for result in results]
    return "\n".join(lines) + f"\n\n{_where(results)}\n"


def _cells(result: dict[str, Any]) -> list[str]:
    times = _times(result)
    semad, *others = (times[case] for case in CASES)
    ceiling = 2 * 2.048**3 / times["matmul 2048"]  # TFLOP/s
    share = result["gflop_per_step"] / semad / ceiling
    return [
        f"{result['system']} `{result['preset']}`",
        f"{result['gflop_per_step']:.1f}",
        *(f"{time:.0f}" if time else "failed" for time in (semad, *others)),
        *(f"{time / semad:.2f}" if time else "–" for time in others),
        f"{share:.0%}",
    ]


def _times(result: dict[str, Any]) -> dict[str, float | None]:
    """Milliseconds of each case, None for what failed.

    With one thread CPU time, which other processes disturb least; more threads wait for each other
    in ways that CPU time counts differently.
    """
    key = "cpu_ms_per_unit" if result["machine"]["threads"] == 1 else "ms_per_unit"
    return {row["case"]: row.get(key) for row in result["rows"]}


def _where(results: list[dict[str, Any]]) -> str:
    """Dates, versions, threads and loads of the measurements."""
    dates = sorted({result["date"] for result in results})
    packages = sorted(
        {
            f"jax {result['versions']['packages']['jax']}, torch {result['versions']['torch']}"
            for result in results
        }
    )
    threads = sorted({result["machine"]["threads"] for result in results})
    loads = [result["machine"]["load"] for result in results]
    kind = "CPU time" if threads == [1] else "wall-clock time"
    return (
        f"*{' and '.join(dates)}; {'; '.join(packages)}; {' and '.join(map(str, threads))} "
        f"thread{'s' if threads != [1] else ''}, {kind}; between {min(loads):.1f} and "
        f"{max(loads):.1f} processes wanted the machine's {results[0]['machine']['cores']} cores, "
        "the benchmark's own among them.*"
    )
