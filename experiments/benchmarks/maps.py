"""Time and peak memory to map one micrograph of NanoTWICE's size, per system and stride.

python experiments/benchmarks/maps.py --output experiments/results/benchmark_maps.json
python experiments/benchmarks/maps.py --only bigan,ganomaly --strides 16
python experiments/benchmarks/maps.py --only recommended --strides 32

Each system runs in a process of its own, so that its peak memory is its own, up to and with the
stride it stands beside; what the process held before it mapped anything (weights, the compiled
program) is part of it. Untrained networks of the preset `small` map noise: neither weights nor
pixels change the work. Compilation is not counted. AnoGAN searches all its steps for each patch,
though a trained one stops earlier; its time is that of `SEARCHED` patches, one call, scaled.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

SHAPE = (696, 1024)
STRIDES = (16, 8, 4)
REPEATS = {8: 1, 4: 1}  # a finer stride has as many patches more, so less noise; else 5
SEARCHED = 1024


def measure(method: str, strides: Sequence[int]) -> list[dict[str, Any]]:
    """The cases of one system, in this process."""
    import numpy as np

    from semad.config.overrides import named
    from semad.run.state import init_population
    from semad.run.system import build, scoring_state
    from semad.scoring.batched import make_scorer
    from semad.scoring.maps import anomaly_maps
    from semad.scoring.tiling import positions

    config = named(method, "small")
    if "search" in config:
        config.search.tolerance = 0.0
    system, size = build(config), config.data.patch_size
    scorer = make_scorer(system.method, maps=True)
    own = scoring_state(system, init_population(system.method, system.seeds), 0)
    image = np.random.default_rng(0).integers(0, 256, (*SHAPE, 1), np.uint8)
    searches = system.method.searches
    names, tiling = (system.method.default_score,), system.scoring.tiling
    first = image if system.method.convolutional else image[:size, :size]
    anomaly_maps(scorer, own, first, tiling._replace(stride=size), names=names)  # compiles
    cases = []
    for stride in strides:
        patches = int(np.prod([len(positions(length, size, stride)) for length in SHAPE]))
        columns = len(positions(SHAPE[1], size, stride))
        # Of a search, as many rows of patches as make about one call.
        rows = max(1, SEARCHED // columns)
        part = image[: size + stride * (rows - 1)] if searches else image
        seconds = []
        for _ in range(3 if searches else REPEATS.get(stride, 5)):
            start = time.perf_counter()
            anomaly_maps(scorer, own, part, tiling._replace(stride=stride), names=names)
            seconds.append(time.perf_counter() - start)
        mapped = rows * columns if searches else patches
        case = {
            "method": method,
            "stride": stride,
            "patches": patches,
            "seconds": round(median(seconds) * patches / mapped, 2),
            "runs": len(seconds),
            "extrapolated": searches,
            "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
        cases.append(case)
    return cases


def _system(method: str, strides: str) -> list[dict[str, Any]]:
    command = [sys.executable, __file__, "--case", method, "--strides", strides]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{method} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """All cases, one after the other, a line each."""
    from semad.methods import METHODS
    from semad.utils.versions import versions

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="systems, separated by commas")
    parser.add_argument("--strides", default=",".join(map(str, STRIDES)))
    parser.add_argument("--output", type=Path)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    strides = [int(value) for value in arguments.strides.split(",")]
    if arguments.case:
        print(json.dumps(measure(arguments.case, strides)))
        return
    rows = []
    for method in arguments.only.split(",") if arguments.only else METHODS:
        for row in _system(method, arguments.strides):
            rows.append(row)
            about = f"{row['seconds']:9.2f} s{'*' if row['extrapolated'] else ' '}"
            print(
                f"{method:<14} stride {row['stride']:>2} {about} {row['peak_mib']:6} MiB",
                flush=True,
            )
    report = {
        "command": "python experiments/benchmarks/maps.py",
        "image": SHAPE,
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.processor() or platform.machine(),
        "cases": rows,
        "versions": versions(),
    }
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
