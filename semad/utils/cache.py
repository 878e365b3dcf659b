"""A workdir's cache of what is computed of its held-out images: no call maps them twice."""

import contextlib
import json
from pathlib import Path
from typing import Any

from semad.errors import CannotWrite
from semad.utils.sealed import read_sealed, write_sealed

Record = dict[str, Any]


def load_cached(workdir: str | Path | None, name: str, origin: Record) -> Record | None:
    """What was stored last under that name, if its origin (weights, settings) was the same.

    None where there is none, or it is damaged: it is computed again.
    """
    cached = read_sealed(_path(workdir, name)) if workdir is not None else None
    if not cached or cached.get("origin") != json.loads(json.dumps(origin)):
        return None
    return cached.get("content")


def store_cached(workdir: str | Path | None, name: str, origin: Record, content: Record) -> None:
    """Writes it as `<name>.json`, where there is a workdir that can be written to."""
    if workdir is None:
        return
    with contextlib.suppress(CannotWrite):
        write_sealed(_path(workdir, name), {"origin": origin, "content": content})


def _path(workdir: str | Path, name: str) -> Path:
    return Path(workdir) / f"{name}.json"
