"""What the processes of a run tell each other; the only file that touches `multihost_utils`.

JAX runs a program over the devices of all processes, if all of them make the same calls in the same
order. So whatever decides what comes next must be the same in all of them: `Vote`, `agree` and
`from_first` see to that. All of them must call a function of this module, and those that come
early wait. Where a process works alone, each answers at once with what it was given.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, Sharding, SingleDeviceSharding

from semad.errors import UserError
from semad.utils import hosts

AXIS = "devices"
"""Of the mesh over all devices."""

Block = dict[str, np.ndarray]
Value = TypeVar("Value")


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
