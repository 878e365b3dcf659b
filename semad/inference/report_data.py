"""What the report needs of an image: its picture, its map and its labels, in a script of its own.

A page that was opened from a disk may not fetch what lies beside it, and may not read the pixels of
pictures there. It may run scripts: so each image's data are one call, `semad.add(key, data)`, which
stands in the page itself where images are few, and in a file beside it where they are many.
"""

import base64
import io
import json
import math
import zlib
from typing import Any

import numpy as np
from PIL import Image

from semad.inference.map_levels import reduce

THUMBNAIL = 176
"""Pixels of the longer side of a picture in the list of images."""
_PICTURE = 4096
"""Pixels of the longer side of the picture that is looked at."""
_LARGEST = 2**24
"""Pixels of a map that a browser is asked to hold; larger ones are reduced to at most so many."""


def script(key: str, picture: Image.Image, counts: np.ndarray, label: np.ndarray | None) -> bytes:
    """The data of an image as a classic script.

    Args:
      key: of the image.
      picture: grey, of H by W pixels.
      counts: the levels that each pixel of its map exceeds, uint8 (H, W).
      label: bool (H, W), what a person marked as a defect; None where nobody did.
    """
    factor = max(1, math.ceil(math.sqrt(counts.size / _LARGEST)))
    content: dict[str, Any] = {
        "picture": _base64(jpeg(picture, _PICTURE, 85)),
        "factor": factor,
        "map": _deflated(reduce(counts, factor)),
    }
    if label is not None:
        content["label"] = _deflated(reduce(label.view(np.uint8), factor))
    return f"semad.add({_literal(key)}, {_literal(content)});\n".encode()


def jpeg(picture: Image.Image, side: int, quality: int) -> bytes:
    """A picture as JPEG, its longer side at most `side` pixels."""
    buffer, copy = io.BytesIO(), picture
    if max(picture.size) > side:
        copy = picture.copy()
        copy.thumbnail((side, side))
    copy.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def _deflated(array: np.ndarray) -> str:
    return _base64(zlib.compress(np.ascontiguousarray(array).data, 6))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _literal(value: Any) -> str:
    """JSON that may stand in a script inside of a page, whatever is in it."""
    return json.dumps(value).replace("<", "\\u003c")
