"""Scores of many patches, a chunk at a time: one compiled shape, bounded memory."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from operator import itemgetter

import jax
import numpy as np

from semad.scoring.batched import PatchScores, Scorer, ScoringStates
from semad.utils.backend import in_float32


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
    the scores of twice as many chunks are held in memory: none waits while scores are used. A
    scorer that compiles is to be a `WithinMemory` then, which does so once.
    """

    @in_float32  # which holds for a thread
    def scored_from(start: int) -> tuple[int, PatchScores[np.ndarray]]:
        part = patches(slice(start, min(start + chunk, count)))
        real = len(part)
        padding = np.repeat(part[-1:], chunk - real, axis=0)
        absent = np.arange(chunk) >= real
        scored = jax.device_get(scorer(member, np.concatenate([part, padding]), absent))
        return start, jax.tree.map(itemgetter(slice(real)), scored)

    starts = iter(range(first, count, chunk * every))
    if calls_at_once == 1:
        yield from map(scored_from, starts)
        return
    waiting: deque[Future[tuple[int, PatchScores[np.ndarray]]]] = deque()
    with ThreadPoolExecutor(calls_at_once) as pool:
        for start in starts:
            waiting.append(pool.submit(scored_from, start))
            if len(waiting) == 2 * calls_at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
