"""Writes the embedded nanofibres as a folder of images, to try out what is done with one's own.

python -m semad.data.sources.nanofibres_folder fibres
python -m semad.data.sources.nanofibres_folder fibres --train 20 --test 10 --size 512
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from semad.config.schema import DataSettings
from semad.data.sources import nanofibres
from semad.errors import UserError
from semad.utils.files import check_replaceable, new_folder


def write(folder: Path, *, train: int, test: int, size: int, seed: int = 0) -> None:
    """Writes PNG files in the layout that `config.data.name=folder` reads (MVTec AD's).

    Args:
      folder: a new one.
      train: normal images in train/good.
      test: images in test/, every second one with defects and a mask in ground_truth/.
      size: height and width in pixels.
      seed: see `semad.data.sources.nanofibres.load`.

    Raises:
      UserError: for too small a number or size, or a folder that holds something.
    """
    check_replaceable(folder)
    settings = {"train_images": train, "test_images": test, "image_size": size}
    source = nanofibres.load(DataSettings(settings | {"seed": seed, "channels": 1}))
    kinds = np.where(source.labels, "defect", "good")
    with new_folder(folder) as part:
        for name, image in zip(source.train_ids, source.train, strict=True):
            _save(part / "train" / "good" / f"{name}.png", image[..., 0])
        for name, kind, image in zip(source.test_ids, kinds, source.test, strict=True):
            _save(part / "test" / kind / f"{name}.png", image[..., 0])
        for name, mask in zip(source.test_ids, source.masks, strict=True):
            if mask is not None and mask.any():
                path = part / "ground_truth" / "defect" / f"{name}_mask.png"
                _save(path, mask.astype(np.uint8) * 255)


def _save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Writes embedded nanofibres as image files.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=40, help="normal images to train on")
    parser.add_argument("--test", type=int, default=8, help="new images, half with defects")
    parser.add_argument("--size", type=int, default=256, help="height and width in pixels")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    counts = {"train": arguments.train, "test": arguments.test, "size": arguments.size}
    try:
        write(arguments.folder, **counts, seed=arguments.seed)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(UserError.exit_code)


if __name__ == "__main__":
    main()
