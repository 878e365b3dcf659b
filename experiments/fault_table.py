"""What experiments/faults.py found: its records, and the table of docs/reliability.md."""

import json
from typing import Any

from paths import RESULTS

FILE = RESULTS / "faults.json"
KINDS = {
    "kills": "SIGKILL at a file event",
    "signals": "SIGTERM, SIGHUP or SIGINT at a file event",
    "disk": "a write that fails with ENOSPC or EIO",
    "bits": "a bit flipped in a file of a workdir or of results",
    "fuzz": "a damaged image, mask, config.json or override",
}


def load() -> dict[str, dict[str, Any]]:
    """Records by kind, then by system and seed."""
    return json.loads(FILE.read_text()) if FILE.is_file() else {}


def table() -> str:
    """Tries of each kind, and how many lost nothing and said what was wrong."""
    rows = ["| attack | tries | survived | slowest, s |", "| --- | --- | --- | --- |"]
    for kind, title in KINDS.items():
        records = list(load().get(kind, {}).values())
        if records:
            tries, survived = (sum(r[key] for r in records) for key in ("tries", "survived"))
            slowest = max(record["slowest_seconds"] for record in records)
            rows.append(f"| {title} | {tries:,} | {survived:,} | {slowest:.1f} |")
    return "\n".join(rows) + "\n"
