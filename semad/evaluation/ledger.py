"""The ledger of looks at NanoTWICE's labels: a line for every evaluation against them.

Forty images are few, and whoever tries often enough finds a setting that suits their labels by
chance. So every evaluation in a clone of semad appends a line to `experiments/results`, and the
README says how many there were.
"""

import datetime
import json
from pathlib import Path
from typing import Any

from semad.config import RESULTS

LEDGER = Path(__file__).resolve().parents[2] / RESULTS / "ledger.jsonl"
_UNSTATED = "not stated"
_KEPT = ("method", "protocol", "seed", "n_test", "score", "auroc", "average_precision")


def note(result: dict[str, Any], path: Path = LEDGER) -> None:
    """Appends a line about a result (see `semad.evaluation.evaluate`) of NanoTWICE.

    Other data sets are not noted, nor is anything where semad is installed without its clone.
    """
    if not result["dataset"].startswith("nanotwice") or not path.parent.is_dir():
        return
    config = json.loads(json.dumps(result["config"]))
    del config["data"]["dir"]  # of this machine
    line = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": result["versions"]["commit"],
        "purpose": config["eval"]["purpose"] or _UNSTATED,
        **{key: result[key] for key in _KEPT},
        "config": config,
    }
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
