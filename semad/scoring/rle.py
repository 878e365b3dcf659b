"""Run lengths of masks as COCO's tools write them, without a mask as large as the image.

Pixels are counted down the columns, runs of 0 and of 1 in turn; the counts become a text of five
bits a character, each from the third on less the one before the last.
"""

import numpy as np


def encode(part: np.ndarray, top: int, left: int, height: int, width: int) -> str:
    """The compressed counts of a mask.

    Args:
      part: bool (h, w), the part of the mask that holds all its pixels.
      top, left: the place of that part.
      height, width: of the whole mask.
    """
    padded = np.zeros((part.shape[1], part.shape[0] + 2), np.int8)
    padded[:, 1:-1] = part.T
    steps = np.diff(padded, axis=1)
    starts, stops = (
        (columns + left) * height + rows + top
        for columns, rows in (np.nonzero(steps == sign) for sign in (1, -1))
    )
    joined = starts[1:] == stops[:-1]  # from the last row of a column to the first of the next
    starts, stops = starts[np.r_[True, ~joined]], stops[np.r_[~joined, True]]
    edges = np.empty(2 * len(starts) + 2, np.int64)
    edges[0], edges[-1] = 0, height * width
    edges[1:-1:2], edges[2:-1:2] = starts, stops
    counts = np.diff(edges)
    return _compressed(counts if counts[-1] else counts[:-1])


def decode(text: str, box: tuple[int, int, int, int], height: int) -> np.ndarray:
    """The mask inside a box: bool (bottom − top, right − left).

    Args:
      text: of `encode`.
      box: top, left, bottom, right, which holds all its pixels.
      height: of the whole mask.
    """
    top, left, bottom, right = box
    edges = np.cumsum(_counts(text))
    runs = edges[: len(edges) // 2 * 2].reshape(-1, 2) - left * height
    steps = np.zeros((right - left) * height + 1, np.int8)
    steps[runs[:, 0]] = 1
    steps[runs[:, 1]] = -1
    columns = np.cumsum(steps[:-1], dtype=np.int8).reshape(right - left, height)
    return columns.T[top:bottom].astype(bool)


def _compressed(counts: np.ndarray) -> str:
    values = counts.copy()
    values[3:] -= counts[1:-2]
    characters = []
    for value in values.tolist():
        more = True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            characters.append(chr((bits | 32 if more else bits) + 48))
    return "".join(characters)


def _counts(text: str) -> list[int]:
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts
