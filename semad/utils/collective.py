"""What the processes of a run tell each other; the only file that touches `jax.distributed`.

JAX runs a program over the devices of all processes, if all of them make the same calls in the same
order. So whatever decides what comes next must be the same in all of them: `Vote`, `agree` and
`from_first` see to that. All of them must call a function of this module, and those that come
early wait. Where a process works alone, each answers at once with what it was given.
"""

import atexit
import io
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, Sharding, SingleDeviceSharding

from semad.errors import Interrupted, UserError
from semad.utils import hosts

_log = logging.getLogger(__name__)

AXIS = "devices"
"""Of the mesh over all devices."""

Block = dict[str, np.ndarray]
Value = TypeVar("Value")

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


def devices() -> list[jax.Device]:
    """Those that work on the run: of all its processes, or the local ones of a single process."""
    return jax.devices() if hosts.count() > 1 else jax.local_devices()


def everywhere() -> Sharding:
    """Of arrays that every process has: on all devices, or on the first of a single process."""
    if hosts.count() == 1:
        return SingleDeviceSharding(jax.local_devices()[0])
    return NamedSharding(_mesh(), jax.P())


def place(tree: Any, sharding: Sharding) -> Any:
    """A tree of arrays that every process has, put where a sharding has them.

    Arrays that are on the devices of several processes already stay as they are.
    """
    if hosts.count() == 1:
        return jax.device_put(tree, sharding)
    return jax.tree.map(partial(_place, sharding), tree)


def _place(sharding: Sharding, leaf: jax.Array) -> jax.Array:
    if not leaf.is_fully_addressable:
        return leaf
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.wrap_key_data(_place(sharding, jax.random.key_data(leaf)))
    values = np.asarray(leaf)
    return jax.make_array_from_callback(values.shape, sharding, lambda index: values[index])


def local(tree: Any) -> Any:
    """A tree of arrays on many devices, on this process' first one."""
    if hosts.count() == 1:
        return jax.device_put(tree, jax.local_devices()[0])
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), _copied()(tree))


@cache
def _copied() -> Callable[[Any], Any]:
    return jax.jit(lambda tree: jax.tree.map(jnp.copy, tree), out_shardings=everywhere())


@cache
def _mesh() -> Mesh:
    return Mesh(np.array(jax.devices()), (AXIS,))


class Vote:
    """Flags that any process may raise, learnt by all at the same call, and none waits for it.

    Of several processes the devices add up the flags behind the work that they were given, so that
    a call says what the call before has raised. What has been said counts no more.
    """

    def __init__(self) -> None:
        """Starts with no flag raised."""
        self._asked: jax.Array | None = None

    def __call__(self, *flags: bool) -> tuple[bool, ...]:
        """Which flags any process has raised."""
        if hosts.count() == 1:
            return flags
        rows = np.tile(flags, (jax.local_device_count(), 1))
        sharding = NamedSharding(_mesh(), jax.P(AXIS))
        before, self._asked = (
            self._asked,
            _any()(jax.make_array_from_process_local_data(sharding, rows)),
        )
        if before is None:
            return (False,) * len(flags)
        said = tuple(np.asarray(before).tolist())
        if any(said):
            self._asked = None
        return said


@cache
def _any() -> Callable[[jax.Array], jax.Array]:
    return jax.jit(lambda rows: rows.any(axis=0), out_shardings=everywhere())


def agree(flag: bool) -> bool:
    """Whether any process says so."""
    return flag if hosts.count() == 1 else bool(_gathered(np.array([flag])).any())


def wait() -> None:
    """Waits for all processes."""
    agree(False)


def by_first(action: Callable[[], object]) -> None:
    """Has the first process do something; what the others read before and after is of that time."""
    wait()
    if hosts.writes():
        action()
    wait()


def from_first(value: Value) -> Value:
    """The value of the first process, which JSON can hold."""
    if hosts.count() == 1:
        return value
    return json.loads(_all_bytes(json.dumps(value).encode())[0])


def check_same(values: Mapping[str, Any]) -> None:
    """Checks that all processes have the same values, which JSON can hold, by name.

    Raises:
      UserError: when a process has others than the first.
    """
    if hosts.count() == 1:
        return
    first, *others = (json.loads(part) for part in _all_bytes(json.dumps(values).encode()))
    for number, other in enumerate(others, 1):
        for name in first | other:
            if first.get(name) != other.get(name):
                raise UserError(
                    f"process {number} has {name} = {other.get(name)!r}, and process 0 "
                    f"{first.get(name)!r}; give all the same command, data and semad"
                )


def gather(block: Block) -> list[Block]:
    """The arrays of all processes, in their order; each may have others."""
    if hosts.count() == 1:
        return [block]
    archive = io.BytesIO()
    np.savez(archive, allow_pickle=False, **block)
    return [_unpacked(content) for content in _all_bytes(archive.getvalue())]


def _unpacked(content: bytes) -> Block:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


def in_turn(blocks: Iterable[Block], total: int) -> Iterator[Block]:
    """All blocks of a sequence whose parts, as `hosts.turns` has them, the processes make.

    Args:
      blocks: of this process' part.
      total: how many there are in all.
    """
    if hosts.count() == 1:
        yield from blocks
        return
    part = iter(blocks)
    for first in range(0, total, hosts.count()):
        yield from gather(next(part, {}))[: total - first]


def _all_bytes(content: bytes) -> list[bytes]:
    """What each process gives, up to 4 GB."""
    lengths = _gathered(np.array([len(content)], np.uint32)).tolist()
    # Of a power of two, since each length is a program of its own.
    row = np.zeros((1, 1 << max(lengths).bit_length()), np.uint8)
    row[0, : len(content)] = np.frombuffer(content, np.uint8)
    return [
        values[:length].tobytes() for values, length in zip(_gathered(row), lengths, strict=True)
    ]


def _gathered(row: np.ndarray) -> np.ndarray:
    """Arrays of one shape (1, ...) of all processes: (processes, ...)."""
    return multihost_utils.process_allgather(row, tiled=True)
