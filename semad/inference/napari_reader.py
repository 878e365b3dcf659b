"""Opens an inspected image in napari: the image, its map, its defects as a mask and as boxes.

`napari out/maps/fibre.tif` finds the rest beside the map. napari itself is not imported.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from semad.inference.records import RESULTS, SETTINGS
from semad.utils.sealed import read_sealed

Layer = tuple[Any, dict[str, Any], str]
"""Data, attributes and kind of a layer, as napari takes them."""


def reader(path: str | list[str]) -> Callable[[str], list[Layer]] | None:
    """What opens a map; None for a file that is no map of an inspection."""
    if isinstance(path, list):
        path = path[0]
    return None if _place(Path(path)) is None else layers


def layers(path: str) -> list[Layer]:
    """The layers of an inspected image; without its image where that is gone.

    Args:
      path: of its map, `maps/<key>.tif` in an output folder.
    """
    place = _place(Path(path))
    assert place is not None  # see `reader`
    output, key = place
    record = (read_sealed(output / f"records/{key}.json") or {})["record"]
    nm = record["nm_per_pixel"]
    shared = {"scale": (nm, nm), "units": ("nm", "nm")} if nm else {}
    mask = np.asarray(Image.open(output / RESULTS[1].format(key))) > 0
    corners = [
        [[d["top"], d["left"]], [d["bottom"] - 1, d["right"] - 1]] for d in record["defects"]
    ]
    opened: list[Layer] = [
        (tifffile.imread(path), {"name": "map", "colormap": "inferno", "opacity": 0.5}, "image"),
        (mask.astype(np.uint8), {"name": "defects", "opacity": 0.4}, "labels"),
        (corners, {"name": "boxes", "shape_type": "rectangle", "face_color": "#0000"}, "shapes"),
    ]
    if (image := _image(output, record)) is not None:
        opened.insert(
            0, (image[: record["height"]], {"name": "image", "colormap": "gray"}, "image")
        )
    return [(data, attributes | shared, kind) for data, attributes, kind in opened]


def _place(path: Path) -> tuple[Path, str] | None:
    """The output folder that a map lies in, and its image's key."""
    for folder in path.absolute().parents:
        if (folder / SETTINGS).is_file() and path.absolute().is_relative_to(folder / "maps"):
            key = path.absolute().relative_to(folder / "maps").with_suffix("").as_posix()
            return (folder, key) if (folder / f"records/{key}.json").is_file() else None
    return None


def _image(output: Path, record: dict[str, Any]) -> np.ndarray | None:
    """The inspected image, where it is still at its place."""
    images = Path(json.loads((output / SETTINGS).read_bytes())["images"])
    path = images / record["file"] if images.is_dir() else images
    if not path.is_file() or record["page"] is not None:
        return None
    if path.suffix.lower() in (".tif", ".tiff"):
        return tifffile.imread(path)
    return np.asarray(Image.open(path))
