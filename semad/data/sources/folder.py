"""Images of the user's own, in the folder layout of MVTec AD.

train/good/*                            normal images
test/good/*, test/<defect>/*            normal and anomalous images (optional)
ground_truth/<defect>/<name>_mask.png   masks of the anomalous ones (optional for each)
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from semad.config.schema import DataSettings
from semad.data import images
from semad.data.source import Source
from semad.errors import UserError

GOOD = "good"


class _Item(NamedTuple):
    path: Path
    mask: Path | None
    anomalous: bool


def load(data: DataSettings) -> Source:
    """Loads the folder `config.dir`; images may have mixed sizes and depths.

    Images without a mask file have the mask None if anomalous, an empty one if good. With no
    `test` folder the test is empty.

    Raises:
      UserError: a folder is missing or empty, a file cannot be read, a mask has no image or
        another size than its image.
    """
    if not data.dir:
        raise UserError("config.data.dir is not set; give the folder that holds train/good")
    root = Path(data.dir)
    train_paths = images.list_images(root / "train" / GOOD)
    items = _test_items(root)
    loaded = [images.read_image(path, data.channels) for path in train_paths]
    loaded += [images.read_image(item.path, data.channels) for item in items]
    loaded = images.same_depth(loaded)
    train, test = loaded[: len(train_paths)], loaded[len(train_paths) :]
    return Source(
        name=f"folder:{root.resolve().name}",
        train=train,
        test=test,
        masks=[_mask(item, image) for item, image in zip(items, test, strict=True)],
        labels=np.array([item.anomalous for item in items], bool),
        train_ids=[f"{GOOD}/{path.name}" for path in train_paths],
        test_ids=[f"{item.path.parent.name}/{item.path.name}" for item in items],
        micrographs=True,
        oriented=False,
    )


def _test_items(root: Path) -> list[_Item]:
    masks = _masks(root / "ground_truth")
    items = []
    for folder in _folders(root / "test"):
        for path in images.list_images(folder):
            mask = masks.pop((folder.name, path.stem), None)
            items.append(_Item(path, mask, folder.name != GOOD))
    if masks:
        mask = min(masks.values())
        raise UserError(f"mask without an image: {mask}; name it after its test image")
    return items


def _masks(parent: Path) -> dict[tuple[str, str], Path]:
    """Maps (defect, image name) to the mask file, of all masks there are."""
    return {
        (folder.name, path.stem.removesuffix("_mask")): path
        for folder in _folders(parent)
        for path in images.list_images(folder)
    }


def _folders(parent: Path) -> list[Path]:
    return images.list_folders(parent) if parent.exists() else []


def _mask(item: _Item, image: np.ndarray) -> np.ndarray | None:
    if item.mask is not None:
        return images.read_mask(item.mask, image.shape[:2])
    return None if item.anomalous else np.zeros(image.shape[:2], bool)
