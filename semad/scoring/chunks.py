"""Scores of many patches, a chunk at a time: one compiled shape, bounded memory."""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from operator import itemgetter

import jax
import numpy as np

from semad.errors import out_of_memory
from semad.scoring.batched import PatchScores, Scorer, ScoringStates
from semad.utils.backend import in_float32

_log = logging.getLogger(__name__)


def score_chunks(
    scorer: Scorer,
    member: ScoringStates,
    patches: Callable[[slice], np.ndarray],
    count: int,
    chunk: int,
    first: int = 0,
    every: int = 1,
    calls_at_once: int = 1,
) -> Iterator[tuple[int, PatchScores[np.ndarray]]]:
    """The scores of patches `first` to `count`, in chunks of NumPy arrays with their position.

    The ragged last chunk is padded for the program, and cut again. With `every` above 1 only every
    so many-th chunk is scored, from `first` on. `calls_at_once` calls run at the same time, and
    the scores of as many chunks and one more are held in memory. A chunk that does not fit into a
    device's memory is scored in parts, see `_Calls`.
    """
    calls = _Calls(scorer, member, chunk)

    @in_float32  # which holds for a thread
    def scored_from(start: int) -> tuple[int, PatchScores[np.ndarray]]:
        part = patches(slice(start, min(start + chunk, count)))
        real = len(part)
        padding = np.repeat(part[-1:], chunk - real, axis=0)
        scored = calls.score(np.concatenate([part, padding]), np.arange(chunk) >= real)
        return start, jax.tree.map(itemgetter(slice(real)), scored)

    starts = iter(range(first, count, chunk * every))
    if calls_at_once == 1:
        yield from map(scored_from, starts)
        return
    yield from map(scored_from, islice(starts, 1))  # two would each compile the program
    waiting: deque[Future[tuple[int, PatchScores[np.ndarray]]]] = deque()
    with ThreadPoolExecutor(calls_at_once) as pool:
        for start in starts:
            waiting.append(pool.submit(scored_from, start))
            if len(waiting) > calls_at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class _Calls:
    """Calls of a scorer, each as large as fits into the memory of a device.

    Whether a call fits shows when it is made. Then it is halved, and so are all that follow: the
    first call is as large as any, so as a rule all calls of a run are of one size.
    """

    def __init__(self, scorer: Scorer, member: ScoringStates, chunk: int) -> None:
        """Starts with calls of a whole chunk."""
        self._scorer, self._member = scorer, member
        self._size = chunk

    def score(self, patches: np.ndarray, absent: np.ndarray) -> PatchScores[np.ndarray]:
        """Scores a chunk; `absent` (N,) as a `Scorer` has it.

        Raises:
          JaxRuntimeError: where not even the smallest part fits, or for what else JAX raises.
        """
        while True:
            size = self._size  # another thread may halve it
            starts = range(0, len(patches), size)
            try:
                parts = [
                    jax.device_get(
                        self._scorer(self._member, patches[at : at + size], absent[at : at + size])
                    )
                    for at in starts
                ]
            except jax.errors.JaxRuntimeError as error:
                if not out_of_memory(error) or size % (2 * jax.local_device_count()):
                    raise
                self._halve(size)
            else:
                return jax.tree.map(lambda *arrays: np.concatenate(arrays), *parts)

    def _halve(self, size: int) -> None:
        if size == self._size:
            self._size = size // 2
            _log.warning(
                "%d patches at once do not fit into the device's memory; trying %d from here on, "
                "as --config.score.chunk=%d would from the start",
                size,
                self._size,
                self._size // jax.local_device_count(),
            )
