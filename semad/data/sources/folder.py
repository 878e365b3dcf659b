"""Images of the user's own, in the folder layout of MVTec AD.

train/good/*                            normal images
test/good/*, test/<defect>/*            normal and anomalous images (optional)
ground_truth/<defect>/<name>_mask.png   masks of the anomalous ones (optional for each)

Of a stack whose pages are images, the mask of page 3 is <name>#3_mask.png.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from semad.config.schema import DataSettings
from semad.data import collect, images
from semad.data.collect import Entry
from semad.data.images import Listing, Reading, Skipped, read_mask
from semad.data.labels import implausible
from semad.data.source import Source
from semad.errors import UserError

GOOD = "good"


class _Item(NamedTuple):
    entry: Entry
    mask: Path | None
    anomalous: bool


def load(data: DataSettings) -> Source:
    """Loads the folder `config.dir`; images may have mixed sizes and depths.

    Images without a mask file have the mask None if anomalous, an empty one if good. With no
    `test` folder the test is empty. With no `train/good` beside a test there are no training
    images: a workdir has all else that an evaluation needs. Degenerate training images are left out
    with a caution.

    Raises:
      UserError: a folder is missing or empty; a file cannot be read; no training image is of any
        use; a mask is not exact, has no image or two, or another size than its image.
    """
    if not data.dir:
        raise UserError("config.data.dir is not set; give the folder that holds train/good")
    root = Path(data.dir)
    reading = images.reading_of(data)
    skipped: list[Skipped] = []
    train = collect.Collection([], [], [], reading.bit_depth, [])
    if (root / "train" / GOOD).exists() or not (root / "test").exists():
        paths = _images(root / "train" / GOOD, reading, skipped)
        train = collect.read_training(collect.entries_of(paths, GOOD, reading), reading)
    items = _test_items(root, reading, skipped)
    test = collect.read_test([item.entry for item in items], reading, train.bit_depth)
    masks = [
        _mask(item, image, rows)
        for item, image, rows in zip(items, test.images, test.rows, strict=True)
    ]
    labels = np.array([item.anomalous for item in items], bool)
    test_ids = [item.entry.name for item in items]
    loaded = images.same_depth([*train.images, *test.images])
    said = collect.skipped(skipped, root) + train.cautions + test.cautions
    return Source(
        name=f"folder:{root.resolve().name}",
        train=loaded[: len(train.images)],
        test=loaded[len(train.images) :],
        masks=masks,
        labels=labels,
        train_ids=[entry.name for entry in train.entries],
        test_ids=test_ids,
        micrographs=True,
        oriented=False,
        bit_depth=train.bit_depth,
        cautions=collect.gather(said + implausible(masks, labels.tolist(), test_ids)),
    )


def _test_items(root: Path, reading: Reading, skipped: list[Skipped]) -> list[_Item]:
    masks = _masks(root / "ground_truth", reading, skipped)
    used: dict[Path, Entry] = {}
    items = []
    for folder in _folders(root / "test", reading, skipped):
        paths = _images(folder, reading, skipped)
        for entry in collect.entries_of(paths, folder.name, reading):
            page = f"#{entry.page}" if entry.page else ""
            mask = masks.get((folder.name, f"{entry.path.stem}{page}"))
            if mask in used:
                raise UserError(
                    f"mask {mask} is that of two images, {used[mask].name} and {entry.name}; "
                    "rename one of them and its mask"
                )
            if mask is not None:
                used[mask] = entry
            items.append(_Item(entry, mask, folder.name != GOOD))
    unused = set(masks.values()) - set(used)
    if unused:
        raise UserError(f"mask without an image: {min(unused)}; name it after its test image")
    return items


def _masks(parent: Path, reading: Reading, skipped: list[Skipped]) -> dict[tuple[str, str], Path]:
    """Maps (defect, image name) to the mask file, of all masks there are."""
    masks: dict[tuple[str, str], Path] = {}
    for folder in _folders(parent, reading, skipped):
        for path in _images(folder, reading, skipped):
            key = (folder.name, path.stem.removesuffix("_mask"))
            if key in masks:
                raise UserError(f"two masks for one image: {masks[key]} and {path}; remove one")
            masks[key] = path
    return masks


def _images(folder: Path, reading: Reading, skipped: list[Skipped]) -> list[Path]:
    listing = images.list_files(folder, reading.follow_links)
    skipped += listing.skipped
    return listing.images or images.list_images(folder, reading.follow_links)  # which complains


def _folders(parent: Path, reading: Reading, skipped: list[Skipped]) -> list[Path]:
    if not parent.exists():
        return []
    listing: Listing = images.list_folders(parent, reading.follow_links)
    skipped += listing.skipped
    return listing.images


def _mask(item: _Item, image: np.ndarray, rows: int) -> np.ndarray | None:
    if item.mask is None:
        return None if item.anomalous else np.zeros(image.shape[:2], bool)
    mask = read_mask(item.mask, image.shape[:2], rows)
    if mask.any() and not item.anomalous:
        raise UserError(
            f"mask {item.mask} marks something in a good image; move the image and its mask to the "
            "folder of a defect, or remove the mask"
        )
    return mask
