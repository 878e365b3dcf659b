"""What a workdir remembers of its held-out images, so that no call maps them a second time."""

import contextlib
import json
from pathlib import Path
from typing import Any

from semad.files import write_text

Record = dict[str, Any]


def recall(workdir: str | Path | None, name: str, origin: Record) -> Record | None:
    """What was remembered last under that name, if its origin (weights, settings) was the same."""
    if workdir is None:
        return None
    try:
        found = json.loads(_path(workdir, name).read_text())
        return found["content"] if found["origin"] == json.loads(json.dumps(origin)) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # there is none, or it is damaged: it is made again


def remember(workdir: str | Path | None, name: str, origin: Record, content: Record) -> None:
    """Writes it as `<name>.json`, where there is a workdir that can be written to."""
    if workdir is None:
        return
    text = json.dumps({"origin": origin, "content": content}, indent=2) + "\n"
    with contextlib.suppress(OSError):
        write_text(_path(workdir, name), text)


def _path(workdir: str | Path, name: str) -> Path:
    return Path(workdir) / f"{name}.json"
