"""The ledger of looks at NanoTWICE's labels: a line for every evaluation of the data set.

Forty images are few, and whoever tries often enough finds a setting that suits their labels by
chance. So every evaluation of `nanotwice` by `main.py` or by a script of `experiments/` appends a
line to `experiments/results/ledger.jsonl`, and the results say how many there were.
"""

import datetime
import json
import logging
from pathlib import Path
from typing import Any

from semad.errors import CannotWrite
from semad.utils.files import append_line

_log = logging.getLogger("semad")

_UNSTATED = "not stated"
_KEPT = ("method", "protocol", "seed", "n_test", "score", "auroc", "average_precision")


def note(result: dict[str, Any], path: Path) -> None:
    """Appends a line about a result (see `semad.evaluation.evaluate`) of NanoTWICE.

    Other data sets are not noted. A ledger that cannot be written is no reason to lose the result:
    there is a warning.
    """
    if not result["dataset"].startswith("nanotwice"):
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
    try:
        append_line(path, json.dumps(line))
    except CannotWrite as error:
        _log.warning("this look is not in the ledger, which cannot be written (%s)", error)
