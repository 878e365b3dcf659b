"""How processes begin and end a run together; the only file that touches `jax.distributed`."""

import atexit
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import jax

from semad.errors import Interrupted, UserError
from semad.utils import hosts
from semad.utils.collective import wait

PATIENCE = 300.0
"""Seconds to wait for the others at the start."""
_GRACE = 5.0
"""Seconds that the first process stays when all end by an error: JAX aborts those it leaves."""
_LOST = ("Gloo", "NCCL", "RCCL", "Connection", "UNAVAILABLE", "DEADLINE_EXCEEDED", "heartbeat")
"""What an error has in it that comes of another process being gone."""


def join(
    address: str | None = None,
    count: int | None = None,
    number: int | None = None,
    patience: float = PATIENCE,
) -> None:
    """Makes this process one of several; before anything else asks JAX for devices.

    Args:
      address: `host:port` of process 0, which listens there.
      count: of processes.
      number: of this one. These three are JAX's to find out where none is given: SLURM, Open MPI
        and Kubernetes say them.
      patience: seconds to wait for the others.

    Raises:
      UserError: when JAX cannot find them out.
    """
    # JAX would take SIGTERM, which `semad.utils.signals` answers.
    jax.config.update("jax_enable_preemption_service", False)
    where = f"at {address}" if address else "where the cluster says that process 0 is"
    # JAX aborts the process, so this is said, and the process ended, shortly before.
    alone = threading.Timer(patience, _give_up, (where, patience))
    alone.daemon = True
    alone.start()
    try:
        jax.distributed.initialize(
            *(address, count, number),
            cluster_detection_method="deactivate" if address else None,
            initialization_timeout=round(patience) + 60,
        )
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"the processes cannot be joined {where} ({error}); give --coordinator_address, "
            "--num_processes and --process_id"
        ) from error
    finally:
        alone.cancel()
    hosts.set_place(jax.process_index(), jax.process_count())
    if not hosts.writes():  # nothing is to be said twice
        logging.getLogger("semad").setLevel(logging.ERROR)
        os.environ["TQDM_DISABLE"] = "1"


def _give_up(where: str, patience: float) -> None:
    print(
        f"semad: waited {patience:.0f} s {where} for all processes to start; start each with the "
        "same --coordinator_address and --num_processes, and look at what the others say",
        file=sys.stderr,
        flush=True,
    )
    os._exit(UserError.exit_code)


@contextmanager
def together() -> Iterator[None]:
    """Work of processes that have joined: they end together, and none waits for one that is gone.

    Raises:
      UserError: when another process has ended.
    """
    if hosts.count() == 1:
        yield
        return
    try:
        yield
        wait()
    except KeyboardInterrupt:
        atexit.register(_leave, Interrupted.exit_code)
        raise
    except BaseException as error:
        lost = isinstance(error, RuntimeError | ValueError) and any(s in str(error) for s in _LOST)
        code = UserError.exit_code if lost else getattr(error, "exit_code", 1)
        # An orderly end of JAX waits minutes for the others, which may wait for this process.
        atexit.register(_leave, code)
        if lost:
            raise UserError(
                "another process of this run has ended, or cannot be reached; what it says tells "
                f"why, and the same commands go on ({error})"
            ) from error
        raise


def _leave(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    if hosts.writes():
        time.sleep(_GRACE)
    os._exit(code)
