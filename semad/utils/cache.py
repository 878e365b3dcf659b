"""A workdir's cache of what is computed of its held-out images: no call maps them twice."""

import contextlib
import json
from pathlib import Path
from typing import Any

from semad.utils.files import write_text

Record = dict[str, Any]


def load_cached(workdir: str | Path | None, name: str, origin: Record) -> Record | None:
    """What was stored last under that name, if its origin (weights, settings) was the same."""
    if workdir is None:
        return None
    try:
        cached = json.loads(_path(workdir, name).read_text())
        return cached["content"] if cached["origin"] == json.loads(json.dumps(origin)) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # there is none, or it is damaged: it is computed again


def store_cached(workdir: str | Path | None, name: str, origin: Record, content: Record) -> None:
    """Writes it as `<name>.json`, where there is a workdir that can be written to."""
    if workdir is None:
        return
    text = json.dumps({"origin": origin, "content": content}, indent=2) + "\n"
    with contextlib.suppress(OSError):
        write_text(_path(workdir, name), text)


def _path(workdir: str | Path, name: str) -> Path:
    return Path(workdir) / f"{name}.json"
