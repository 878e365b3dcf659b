"""One process at a time writes to a folder, and the next is told who does.

The lock is the kernel's (`filelock`), on a file beside the folder: a process that dies, however it
dies, holds it no longer. A second file says who holds it.
"""

import datetime
import json
import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from semad.errors import UserError
from semad.utils import hosts
from semad.utils.files import remove_leftovers

_log = logging.getLogger(__name__)

_held: dict[Path, int] = {}
"""Folders locked by this process -> the thread that did."""
_guard = threading.Lock()


@contextmanager
def folder_lock(folder: Path, what: str) -> Iterator[None]:
    """Locks a folder, which need not exist, for this thread; it may be locked twice by it.

    Files half-written by processes that died are removed. Of several processes that work on a run
    together the first has the lock, for all of them.

    Args:
      folder: that is written to; its lock lies beside it, or inside where its parent is read-only.
      what: is done, for who comes second, such as `train`.

    Raises:
      UserError: when another process, or another thread, holds it; it says which.
    """
    if not hosts.writes():
        yield
        return
    folder = folder.resolve()
    with _guard:
        thread = _held.get(folder)
        if thread not in (None, threading.get_ident()):
            raise UserError(f"{folder} is in use by another thread of this process; wait for it")
        _held.setdefault(folder, threading.get_ident())
    if thread is not None:
        yield
        return
    try:
        with _locked_file(folder, what):
            remove_leftovers(folder)
            yield
    finally:
        del _held[folder]


@contextmanager
def _locked_file(folder: Path, what: str) -> Iterator[None]:
    path = _lock_path(folder)
    about = path.with_name(f"{path.name}.json")
    lock = filelock.FileLock(path, blocking=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout:
        raise UserError(
            f"{folder} is in use by {_holder(about)}; wait until it ends, or give another folder"
        ) from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be locked ({error.strerror or error}); check access and space"
        ) from error
    try:
        if about.is_file():
            _log.info("%s: taken over from %s, which ended in the middle", folder, _holder(about))
        with suppress(OSError):  # the lock holds without it
            about.write_text(json.dumps(_self(what)))
        yield
    finally:
        # Removed while the lock is held: who waits on the removed file sees that it is (filelock).
        with suppress(OSError):
            about.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        lock.release()


def _lock_path(folder: Path) -> Path:
    if os.access(_existing(folder.parent), os.W_OK):
        return folder.parent / f".{folder.name}.lock"
    return folder / ".lock"


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists."""
    return folder if folder.exists() else _existing(folder.parent)


def _self(what: str) -> dict[str, str | int]:
    since = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": since, "what": what}


def _holder(about: Path) -> str:
    try:
        stored = json.loads(about.read_bytes())
        return "process {pid} on {host} ({what}, since {since})".format(**stored)
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return "another process"
