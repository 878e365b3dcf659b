"""Time and size of the report of `--mode score`, by the number of images.

python experiments/benchmarks/report.py runs/fibres found --output report.json

`runs/fibres` is a trained workdir and `found` a folder that `--mode score` wrote with it, of some
images of the size that is asked about. Their results are repeated up to each number, and the report
is written over them. Opening is the time until Chromium shows the first image, the longer of a wide
light and a narrow dark window; it needs the package `playwright` and a Chromium on the path or in
CHROMIUM, and is left out without them.
"""

import argparse
import json
import os
import resource
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import semad
from semad.inference import records
from semad.inference.inspection_report import write_report
from semad.inference.map_levels import sliders_of
from semad.inference.records import VERDICTS, Record
from semad.utils.versions import versions

COUNTS = (1, 10, 40, 200, 2_000)
WINDOWS = (("light", 1400, 900), ("dark", 390, 800))
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
_NEEDED = ("records", "report_data")
"""Folders of results that the report reads."""


def repeat(source: Path, output: Path, number: int) -> list[Record]:
    """Copies what the report reads of scored images, over and over, and gives their records."""
    paths = sorted((source / "records").rglob("*.json"))
    stored = [json.loads(path.read_text())["record"] for path in paths]
    scored = [record for record in stored if record["verdict"] in VERDICTS]
    return [_copy(scored[n % len(scored)], n, source, output) for n in range(number)]


def _copy(record: Record, number: int, source: Path, output: Path) -> Record:
    key = f"batch{number // 100:02d}/image_{number:04d}"
    for name in records.RESULTS:
        if not name.startswith(_NEEDED):
            continue
        path, copied = source / name.format(record["key"]), output / name.format(key)
        copied.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".js":  # a call whose first argument is the key
            call = path.read_text().partition(", ")[2]
            copied.write_text(f"semad.add({json.dumps(key)}, {call}")
        else:
            shutil.copy(path, copied)
    # Scores differ, as those of different images would.
    return record | {"key": key, "file": f"{key}.png", "score": record["score"] + 1e-6 * number}


def opening(page: Path) -> float | None:
    """Seconds until Chromium shows the first image; None where there is none to open it."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if CHROMIUM is None:
        return None
    seconds = []
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for scheme, width, height in WINDOWS:
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
            )
            tab = context.new_page()
            start = time.perf_counter()
            tab.goto(page.resolve().as_uri())
            tab.wait_for_selector("#picture img")
            seconds.append(time.perf_counter() - start)
            context.close()
        browser.close()
    return round(max(seconds), 2)


def measure(workdir: Path, scored: Path, number: int) -> dict[str, Any]:
    """A row of the table."""
    detector = semad.load(workdir)
    sliders = sliders_of(detector)
    with tempfile.TemporaryDirectory(prefix="semad-") as folder:
        output = Path(folder)
        repeated = repeat(scored, output, number)
        start = time.perf_counter()
        write_report(detector, sliders, output, repeated)
        seconds = time.perf_counter() - start
        page = output / "report.html"
        beside = sum(path.stat().st_size for path in (output / "report_data").rglob("*.js"))
        return {
            "images": number,
            "writing_s": round(seconds, 2),
            "page_mb": round(page.stat().st_size / 1e6, 1),
            "maps_and_pictures_mb": round(beside / 1e6, 1),
            "opening_s": opening(page),
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }


def main() -> None:
    """Prints a row for each number of images, and writes them as JSON where `--output` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workdir", type=Path, help="of a trained run")
    parser.add_argument("scored", type=Path, help="a folder that --mode score wrote with it")
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    rows = []
    for number in arguments.counts:
        rows.append(measure(arguments.workdir, arguments.scored, number))
        print(rows[-1], flush=True)
    if arguments.output:
        result = {"command": "experiments/benchmarks/report.py", "versions": versions()}
        arguments.output.write_text(json.dumps(result | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
