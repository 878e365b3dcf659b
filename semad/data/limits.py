"""Which images are too large to be read: by the memory that is free, whatever their format."""

import psutil

from semad.data.samples import Unreadable

_BOMB_BYTES = 2**26
"""Smaller images are read however well they were compressed: a flat one shrinks a thousandfold."""

_BOMB_RATIO = 200
"""Decoded bytes for each stored one; micrographs, which hold noise, shrink to a fifth at best."""

_WIDEST = 16
"""Bytes of a pixel: four samples of sixteen bits, and as much again at the edges of tiles."""

_SMALL = 2**26
"""Bytes that any machine has; that others fill its memory for a moment refuses no usual image."""

_RESERVE = 2**27
"""Bytes that are left to the rest of the program."""


def check_size(
    width: int, height: int, decoded: int, needed: int, stored: int, expected: int = 0
) -> None:
    """Refuses an image before it is decoded.

    Args:
      width, height: in pixels.
      decoded: bytes of its samples.
      needed: bytes that reading it takes, all copies included.
      stored: bytes of its file.
      expected: pixels of what it belongs to; an image of no more is no bomb.

    Raises:
      Unreadable: it has no pixels, is a decompression bomb, or needs more memory than is free.
    """
    size = f"{width}x{height} pixels"
    if width < 1 or height < 1:
        raise Unreadable(f"an image of {size}")
    plausible = max(_BOMB_BYTES, _BOMB_RATIO * stored, _WIDEST * expected)
    if decoded > plausible:
        raise Unreadable(
            f"{size} in {stored:,} bytes, {decoded // max(1, stored)} times less than they take "
            "decoded, is no micrograph but a decompression bomb",
            "save it uncompressed if it is an image",
        )
    free = psutil.virtual_memory().available
    if needed > _SMALL and needed + _RESERVE > free:
        raise Unreadable(
            f"reading {size} takes {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are "
            "free",
            "cut the image into parts, or use a machine with more memory",
        )
