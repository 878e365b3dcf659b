"""Runs command lines of semad in forks of a warm process, and lets one file event of each fail.

python -m tests.faults.server reads a job per line of standard input and answers with a line of
JSON. A fork starts with all imports done, before JAX has started its threads. The hook is Python's
audit hook: it sees every file that Python opens, renames, makes or removes, so that a fault can be
aimed at moments that random ones miss. What C++ writes (Orbax' arrays) it does not see; `disk.c`
does, where there is a compiler.
"""

import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

_EVENTS = ("open", "os.", "shutil.")
_COUNTER = struct.Struct("q")


def main() -> None:
    """Answers jobs until standard input ends."""
    import semad.cli  # noqa: F401 - so that forks have it
    import semad.evaluation.evaluate
    import semad.inference.inspection
    import semad.modes
    import semad.training.loop  # noqa: F401

    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Runs a job in a fork.

    Args:
      job: `argv` of `semad`; `environment`, variables to set; `root`, the folder whose events
        count, if any do; `fault`, `kill`, `ENOSPC`, `EIO` or a signal such as `SIGTERM`; `at`,
        which event, from 1 on; 0 for none; `seconds`, after which a fork hangs.

    Returns:
      `code`, the exit status, negative for a signal, None when it hung; `output`; `events`;
      `seconds`; `peak_gb`.
    """
    start = time.monotonic()
    with tempfile.TemporaryFile() as output, mmap.mmap(-1, _COUNTER.size) as counter:
        child = os.fork()
        if child == 0:
            _child(job, output.fileno(), counter)
        status, usage = _wait(child, start + job.get("seconds", 300))
        output.seek(0)
        text = output.read().decode(errors="replace")
        events = _COUNTER.unpack(counter[: _COUNTER.size])[0]
    return {
        "code": status,
        "output": text,
        "events": events,
        "seconds": round(time.monotonic() - start, 2),
        "peak_gb": round(usage.ru_maxrss / 2**20, 2),
    }


def _wait(child: int, deadline: float) -> tuple[int | None, resource.struct_rusage]:
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), usage
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            return None, os.wait4(child, 0)[2]
        time.sleep(0.02)


def _child(job: dict[str, Any], output: int, counter: mmap.mmap) -> None:
    """Never returns."""
    code = 1
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        from semad.scoring import unfinished

        unfinished._EVERY = job.get("save_seconds", unfinished._EVERY)
        os.environ.update(job.get("environment", {}))
        if "root" in job:
            _arm(job, counter)
        sys.argv = ["semad", *job["argv"]]
        from semad.cli import main as semad

        semad()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _arm(job: dict[str, Any], counter: mmap.mmap) -> None:
    """From now on, events below the root are counted, and one of them fails."""
    root, fault, at = str(Path(job["root"])), job.get("fault"), job.get("at", 0)
    writes = job.get("writes", False)
    if writes:  # of the library that is preloaded, C++ included
        library = ctypes.CDLL(None)
        number = getattr(errno, fault) if fault in ("ENOSPC", "EIO") else 0
        address = ctypes.addressof(ctypes.c_char.from_buffer(counter))
        library.semad_fault(root.encode(), ctypes.c_long(at), number, ctypes.c_void_p(address))
        return
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if not event.startswith(_EVENTS) or not any(_below(root, a) for a in arguments[:2]):
            return
        count += 1
        counter[: _COUNTER.size] = _COUNTER.pack(count)
        if count != at:
            return
        if fault in ("ENOSPC", "EIO"):
            number = getattr(errno, fault)
            raise OSError(number, os.strerror(number), str(arguments[0]))
        os.kill(os.getpid(), signal.SIGKILL if fault == "kill" else signal.Signals[fault])

    sys.addaudithook(hook)


def _below(root: str, argument: Any) -> bool:
    if isinstance(argument, bytes):
        argument = os.fsdecode(argument)
    if not isinstance(argument, str | os.PathLike):
        return False
    return str(Path(argument).absolute()).startswith(root + os.sep)


if __name__ == "__main__":
    main()
