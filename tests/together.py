"""Runs command lines of semad in processes that work together, forked from a warm one.

python -m tests.together reads a job per line of standard input and answers with a line of JSON.
A fork starts with all imports done, before JAX has started its threads.
"""

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

SECONDS = 200
"""After which a fork is ended: it hangs."""


class Outcome(NamedTuple):
    """How the processes ended: exit codes, and what each wrote."""

    codes: list[int]
    outputs: list[str]


class Processes:
    """A warm process that forks those of each call."""

    def __init__(self, server: subprocess.Popen) -> None:
        self._server = server

    def run(
        self, *arguments: object, of_each: tuple[tuple[str, ...], ...] = ((), ()), stop_at: int = 0
    ) -> Outcome:
        """Runs a command line in as many processes as there are arguments of each.

        The last process gets SIGTERM when it has been given `stop_at` steps.
        """
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        count = len(of_each)
        lines = [
            [
                *map(str, arguments),
                f"--coordinator_address=127.0.0.1:{port}",
                f"--num_processes={count}",
                f"--process_id={number}",
                *own,
            ]
            for number, own in enumerate(of_each)
        ]
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(json.dumps({"argvs": lines, "stop_at": stop_at}) + "\n")
        self._server.stdin.flush()
        return Outcome(**json.loads(self._server.stdout.readline()))


@contextmanager
def processes() -> Iterator[Processes]:
    """Starts the warm process, and ends it."""
    root = Path(__file__).parent.parent
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.together"],
        cwd=root,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with server:
        yield Processes(server)
        assert server.stdin
        server.stdin.close()


def main() -> None:
    """Answers jobs until standard input ends."""
    import semad.modes  # noqa: F401 - so that forks have it
    from semad.utils import backend

    # As tests/conftest.py has it.
    backend.CPU = backend.CPU._replace(convolution="native", narrow_convolution="native")
    for line in sys.stdin:
        print(json.dumps(_run(json.loads(line))), flush=True)


def _run(job: dict[str, Any]) -> dict[str, Any]:
    folder = tempfile.mkdtemp()  # TemporaryDirectory would be removed at the end of a fork
    try:
        children = {}
        for number, argv in enumerate(job["argvs"]):
            output = Path(folder) / str(number)
            stop_at = job["stop_at"] if number + 1 == len(job["argvs"]) else 0
            child = os.fork()
            if child == 0:
                _child(argv, output, stop_at)
            children[child] = output
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        outputs = [path.read_text(errors="replace") for path in children.values()]
    finally:
        shutil.rmtree(folder)
    return {"codes": codes, "outputs": outputs}


def _child(argv: list[str], output: Path, stop_at: int) -> None:
    """Never returns."""
    code = 1
    try:
        signal.alarm(SECONDS)
        for number in (1, 2):
            os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if stop_at:
            _stop_at(stop_at)
        sys.argv = ["semad", *argv]
        from semad.cli import main as semad

        semad()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()  # as at the end of a process
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _stop_at(step: int) -> None:
    from semad.training import loop

    class Stopped(loop.Log):
        done = 0

        def advance(self, steps: int) -> None:
            super().advance(steps)
            self.done += steps
            if self.done == step:
                signal.raise_signal(signal.SIGTERM)

    loop.Log = Stopped


if __name__ == "__main__":
    main()
