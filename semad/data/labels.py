"""Masks: read exactly or refused, and looked at for what is implausible."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from semad.data.files import read_plain
from semad.data.samples import bands
from semad.errors import UserError

_MOST = 0.5
"""Share of an image beyond which its mask is taken for inverted by mistake, with a caution."""


def read_mask(path: Path, shape: tuple[int, int], rows: int | None = None) -> np.ndarray:
    """Reads a mask: True where it is not black.

    Args:
      path: of two values or colours at most, one of them black: 0 and 1, 0 and 255, red on black.
      shape: (height, width) of the image.
      rows: of the image with its data bar, which is cut off a mask of that height.

    Returns:
      bool, of `shape`.

    Raises:
      UserError: the file cannot be read; it has other values, or something in its alpha channel; or
        it is not as large as the image.
    """
    values, alpha_varies = read_plain(path, max(rows or 0, shape[0]) * shape[1])
    if alpha_varies:
        raise UserError(
            f"mask {path} has something in its alpha channel; save it as black and white without "
            "transparency"
        )
    _check_values(path, values)
    mask = np.asarray(values.any(axis=-1))
    if mask.shape not in (tuple(shape), (rows, shape[1])):
        raise UserError(
            f"mask {path} is {mask.shape[1]}x{mask.shape[0]} pixels but its image is "
            f"{shape[1]}x{shape[0]}; make the mask as large as the image"
        )
    return mask[: shape[0]]


def _check_values(path: Path, values: np.ndarray) -> None:
    """Refuses more than two colours, and two of which neither is black."""
    other: np.ndarray | None = None
    black = False
    for rows in bands(values):
        pixels = values[rows].reshape(-1, values.shape[-1])
        lit = pixels.any(axis=-1)
        black |= not lit.all()
        if not lit.any():
            continue
        other = pixels[lit.argmax()] if other is None else other
        if (pixels[lit] != other).any():
            kinds = "values that are neither black nor all the same"
            raise UserError(
                f"mask {path} holds {kinds}; save it with two, 0 for normal and another for "
                "anomalous, without smoothing or JPEG compression"
            )


def implausible(
    masks: Sequence[np.ndarray | None], labels: Sequence[bool], names: Sequence[str]
) -> list[tuple[str, str]]:
    """What to doubt in masks that could be read: pairs of an image's name and a sentence."""
    said = []
    known = [(m, a, n) for m, a, n in zip(masks, labels, names, strict=True) if m is not None]
    for mask, anomalous, name in known:
        if mask.mean() > _MOST:
            said.append((name, "more than half is anomalous by its mask; is the mask inverted?"))
        elif anomalous and not mask.any():
            said.append((name, "its mask is black although it lies among the anomalous images"))
    marked = [(mask, name) for mask, _, name in known if mask.any()]
    first = marked[0][0] if len(marked) > 1 else None
    if first is not None and all(np.array_equal(mask, first) for mask, _ in marked[1:]):
        said += [(name, "its mask is the same as all others'") for _, name in marked]
    return said
