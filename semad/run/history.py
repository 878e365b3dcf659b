"""What befell a run: where it diverged, and with which other rates it went on from there."""

import datetime
import json
import logging
from pathlib import Path
from typing import Any

from semad.config import files
from semad.config.schema import Settings
from semad.config.settings import flatten, traced_keys
from semad.errors import TrainingDiverged
from semad.utils import hosts
from semad.utils.files import append_line
from semad.utils.sealed import read_sealed, write_sealed

_log = logging.getLogger(__name__)

DIVERGED_FILE = "diverged.json"
HISTORY_FILE = "history.jsonl"


def mark_diverged(workdir: Path, step: int, error: TrainingDiverged) -> None:
    """Notes that training diverged at a step, so that the next call may go on with other rates."""
    write_sealed(workdir / DIVERGED_FILE, {"step": step, "error": str(error)})


def has_diverged(workdir: Path) -> bool:
    """Whether the last training here ended by divergence."""
    return (workdir / DIVERGED_FILE).is_file()


def free_keys(workdir: Path, settings: Settings) -> list[str]:
    """The keys that training may go on with other values of: those of scalars, after divergence."""
    return traced_keys(settings) if has_diverged(workdir) else []


def changes(workdir: Path, settings: Settings) -> dict[str, list[Any]]:
    """The free keys whose values differ from config.json's: key -> the value then and now."""
    keys = free_keys(workdir, settings)
    if not keys:
        return {}
    stored, wanted = flatten(files.load(workdir)), flatten(settings)
    return {key: [stored[key], wanted[key]] for key in keys if stored[key] != wanted[key]}


def note_changes(workdir: Path, step: int, changed: dict[str, list[Any]]) -> None:
    """Appends a line about changed values to the history.

    Args:
      workdir: of the run.
      step: that training goes on from.
      changed: of `changes`.
    """
    diverged = read_sealed(workdir / DIVERGED_FILE) or {}
    line = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "step": step,
        "diverged_at": diverged.get("step"),
        "changes": changed,
    }
    append_line(workdir / HISTORY_FILE, json.dumps(line))


def clear_divergence(workdir: Path) -> None:
    """Forgets a divergence: training has gone on from it."""
    if hosts.writes():
        (workdir / DIVERGED_FILE).unlink(missing_ok=True)


def load_history(workdir: Path) -> list[dict[str, Any]]:
    """The lines of the history, oldest first; damaged ones are left out, with a warning."""
    path = workdir / HISTORY_FILE
    lines = []
    for text in path.read_text(errors="replace").splitlines() if path.is_file() else []:
        try:
            line = json.loads(text)
            lines.append({key: line[key] for key in ("date", "step", "diverged_at", "changes")})
        except (ValueError, KeyError, TypeError, RecursionError):
            _log.warning("%s: a damaged line is left out", path)
    return lines
