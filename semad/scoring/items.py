"""Scores of many patches of many images, item by item."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from semad.scoring.batched import PatchScores, Scorer, ScoringStates
from semad.scoring.chunks import score_chunks
from semad.scoring.unfinished import KEEP_NOTHING, Block, Unfinished
from semad.utils import collective, hosts
from semad.utils.eta import EtaWarning


class ItemScores(NamedTuple):
    """Scores of N patches, and the reconstructions that were asked for.

    Attributes:
      values: score name -> float32 (N,), higher is more anomalous.
      reconstructions: position -> (P, P, C), normalised as what they rebuild; empty for a system
        that makes none.
    """

    values: dict[str, np.ndarray]
    reconstructions: dict[int, np.ndarray]


def cut_items(images: Sequence[np.ndarray], items: np.ndarray, patch_size: int) -> np.ndarray:
    """The patches of several images at items (N, 3), rows of (image, top, left): (N, P, P, C)."""
    size = patch_size
    return np.stack([images[i][y : y + size, x : x + size] for i, y, x in items])


def score_items(
    scorer: Scorer,
    member: ScoringStates,
    images: Sequence[np.ndarray],
    items: np.ndarray,
    *,
    patch_size: int,
    chunk: int,
    keep: Iterable[int] = (),
    label: str = "scoring",
    unfinished: Unfinished = KEEP_NOTHING,
) -> ItemScores:
    """Scores patches in chunks of one shape, which several processes share.

    At a given chunk size a patch's scores are the same to the bit in whatever company it comes;
    between chunk sizes they agree to a relative 1e-4 (a long search may amplify rounding).

    Args:
      scorer: of `make_scorer`.
      member: whose scores.
      images: (height, width, C) each, uint8 or uint16.
      items: int32 (N, 3), rows of (image, top, left).
      patch_size: in pixels.
      chunk: patches per call.
      keep: positions whose reconstructions to return.
      label: for the progress bar.
      unfinished: keeps what is scored so far under the label, and has what an earlier call kept.
    """
    wanted = set(keep)
    blocks, first = unfinished.read(label)
    fresh: list[Block] = []
    saved = done = first
    eta = EtaWarning(label, len(items), "--config.eval.max_items scores a seeded subset")
    chunks = score_chunks(
        scorer,
        member,
        lambda rows: cut_items(images, items[rows], patch_size),
        len(items),
        chunk,
        first + hosts.number() * chunk,
        hosts.count(),
    )
    total = -(-(len(items) - first) // chunk)
    scored = (_block(scores, start, wanted) for start, scores in chunks)
    shared = collective.in_turn(scored, total)
    try:
        for block in tqdm(shared, total=total, desc=label, unit="chunk", leave=False):
            fresh.append(block)
            done += _length(block)
            eta.tick(done)
            if unfinished.due():
                blocks.append(_joined(fresh))
                unfinished.append(label, saved, done - saved, blocks[-1])
                fresh, saved = [], done
    except KeyboardInterrupt:  # a stop, which need not lose the last minute
        if fresh:
            unfinished.append(label, saved, done - saved, _joined(fresh))
        raise
    return _scores(_joined(blocks + fresh))


_SCORE, _SHOWN = "score/", "shown/"
"""Prefixes of a block's arrays: scores (N,) by name, and reconstructions by position."""


def _block(scored: PatchScores[np.ndarray], start: int, wanted: set[int]) -> Block:
    scores = {_SCORE + name: values for name, values in scored.scores.items()}
    if scored.reconstructions is None:
        return scores
    shown = wanted.intersection(range(start, start + len(scored.reconstructions)))
    return scores | {f"{_SHOWN}{i}": scored.reconstructions[i - start] for i in shown}


def _length(block: Block) -> int:
    return next(len(values) for name, values in block.items() if name.startswith(_SCORE))


def _joined(blocks: list[Block]) -> Block:
    joined = {
        name: np.concatenate([block[name] for block in blocks])
        for name in blocks[0]
        if name.startswith(_SCORE)
    }
    for block in blocks:
        joined |= {name: array for name, array in block.items() if name.startswith(_SHOWN)}
    return joined


def _scores(block: Block) -> ItemScores:
    values = {n.removeprefix(_SCORE): a for n, a in block.items() if n.startswith(_SCORE)}
    shown = {int(n.removeprefix(_SHOWN)): a for n, a in block.items() if n.startswith(_SHOWN)}
    return ItemScores(values, shown)
