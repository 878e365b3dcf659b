"""What is scored in a protocol, and what counts as anomalous."""

from typing import NamedTuple

import numpy as np

from semad.data.patches import tile_items
from semad.data.source import Source
from semad.data.tiles import TILE, tile_labels
from semad.errors import UserError

# protocols.md checked both against the files: 63 × 41 tiles of each of 40 images.
_NANOTWICE = {"tiles": 103_320, "anomalous": 6_486}


class ProtocolItems(NamedTuple):
    """Patches to score.

    Attributes:
      items: int32 (N, 3), rows of (test image, top, left).
      labels: bool (N,), True where anomalous.
    """

    items: np.ndarray
    labels: np.ndarray


def resolve_protocol(protocol: str, source: Source, convolutional: bool = False) -> str:
    """The protocol that `auto` stands for, or a check that the named one suits the data.

    `auto` is `one_class`, or of micrographs `thesis_tiles`, but `pixel` for a convolutional method.

    Raises:
      UserError: when it does not.
    """
    if len(source.test) == 0:
        raise UserError(f"{source.name}: there are no test images; train with --mode train")
    fitting = ["thesis_tiles", "pixel"] if source.micrographs else ["one_class"]
    if protocol not in ("auto", *fitting):
        raise UserError(
            f"config.eval.protocol={protocol} does not suit the data set {source.name}; "
            f"use {' or '.join(fitting)} (or auto)"
        )
    if source.micrographs:
        for mask, name in zip(source.masks, source.test_ids, strict=True):
            if mask is None:
                raise UserError(
                    f"{source.name}: {name} has no mask, and tiles and pixels are labelled by "
                    "masks; add ground_truth/<defect>/<name>_mask.png, or train with --mode train"
                )
    if protocol != "auto":
        return protocol
    return "pixel" if source.micrographs and convolutional else fitting[0]


def protocol_items(protocol: str, source: Source, patch_size: int, stride: int) -> ProtocolItems:
    """All items of a protocol; see docs/protocols.md.

    `thesis_tiles`: every whole tile on a grid; anomalous with more than 20 anomalous pixels of
    32×32, and the same share of other sizes. `one_class`: every image is an item.

    Raises:
      UserError: when NanoTWICE does not have the tiles it is known to have.
    """
    items = tile_items(source.test, patch_size, stride)
    if protocol == "one_class":
        return ProtocolItems(items, np.asarray(source.labels))
    masks = [mask for mask in source.masks if mask is not None]  # all, see `resolve_protocol`
    labels = tile_labels(masks, items, patch_size)
    if source.name == "nanotwice" and (patch_size, stride) == (TILE, 16):
        actual = {"tiles": len(items), "anomalous": int(labels.sum())}
        if actual != _NANOTWICE:
            raise UserError(
                f"nanotwice has {actual} where {_NANOTWICE} is right: its images or masks are not "
                "the published ones; restore them, or accept them by --config.data.verify=False"
            )
    return ProtocolItems(items, labels)
