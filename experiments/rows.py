"""The command line of scripts that read evaluated runs and write a row for each."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from semad.utils.files import write_text
from semad.utils.versions import versions


def write_rows(about: str, row_of: Callable[[Path], dict[str, Any]]) -> None:
    """Writes `versions` and `runs`, a row per workdir, into the file that --output names.

    Args:
      about: the script's docstring.
      row_of: a workdir -> its row.
    """
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("workdirs", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    content = {"versions": versions(), "runs": [row_of(path) for path in arguments.workdirs]}
    write_text(arguments.output, json.dumps(content, indent=1) + "\n")
