"""Prepares NanoTWICE from its original archive as a TFDS data set.

  python -m semad.data.sources.nanotwice_builder --data_dir data                     # downloads it
  python -m semad.data.sources.nanotwice_builder --data_dir data --archive some.zip  # is there

Neither preparing nor reading needs TensorFlow: the files are array_record, and the images are
handed to TFDS as PNG bytes. The files inside the archive are found by their names, wherever they
lie: `ITIA1101.tif` is an image, anomalous if the archive holds an `ITIA1101_gt.png` as well.
"""

import argparse
import io
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from semad.data import images
from semad.errors import UserError

ARCHIVE_URL = "http://web.mi.imati.cnr.it/ettore/NanoTWICE/dfg05er_Data.zip"
COUNTS = {"normal": 5, "anomalous": 40}
MAX_BYTES = 2**30
"""Of the unpacked archive; the original takes a tenth of it."""


class Example(NamedTuple):
    """One image `(height, width, 1)` uint8, its bool mask `(height, width)`, and its name."""

    image: np.ndarray
    mask: np.ndarray
    name: str


class Nanotwice(tfds.core.GeneratorBasedBuilder):
    """The TFDS builder: splits `normal` and `anomalous` of image, mask, id and label."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, archive: str | None = None, **options: Any) -> None:
        """Like any TFDS builder; `archive` is a zip that is used instead of the download."""
        self._archive = archive
        super().__init__(file_format="array_record", **options)

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
            "mask": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
            "id": tfds.features.Text(),
            "label": tfds.features.ClassLabel(names=list(COUNTS)),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description="SEM images of nanofibrous materials with masks of their defects.",
            features=tfds.features.FeaturesDict(features),
            homepage="http://web.mi.imati.cnr.it/ettore/NanoTWICE",
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[str, Any]]]:
        archive = self._archive or dl_manager.download(ARCHIVE_URL)
        return {split: self._generate_examples(str(archive), split) for split in COUNTS}

    def _generate_examples(self, archive: str, split: str) -> Iterator[tuple[str, Any]]:
        # Unpacked here because TFDS's own extraction needs TensorFlow.
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(archive) as file:
            unpacked = sum(entry.file_size for entry in file.infolist())
            if unpacked > MAX_BYTES:
                raise UserError(
                    f"{archive} unpacks to {unpacked / 1e9:.0f} GB, which NanoTWICE does not take; "
                    "get the original archive again"
                )
            file.extractall(folder)
            for path, mask_path in find_files(Path(folder), archive)[split].items():
                image = images.read_picture(path, images.Reading(1)).pixels
                mask = np.zeros(image.shape[:2], bool)
                if mask_path is not None:
                    mask = images.read_mask(mask_path, image.shape[:2])
                yield path.stem, _record(image, mask, path.stem, split)


def find_files(folder: Path, archive: str) -> dict[str, dict[Path, Path | None]]:
    """Returns for `normal` and `anomalous` every image's path and its mask's (None if normal).

    Args:
      folder: what `archive` was unpacked to.
      archive: for the error message.

    Raises:
      UserError: there are not exactly 5 images without and 40 images with a mask.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    named = {path.name.lower(): path for path in paths}
    by_split: dict[str, dict[Path, Path | None]] = {split: {} for split in COUNTS}
    for name, path in named.items():
        if match := re.fullmatch(r"(itia\d+)\.tiff?", name):
            mask = named.get(f"{match[1]}_gt.png")
            by_split["anomalous" if mask else "normal"][path] = mask
    counts = {split: len(files) for split, files in by_split.items()}
    if counts != COUNTS:
        raise UserError(
            f"{archive} holds {counts['normal']} normal images and {counts['anomalous']} with a "
            "mask, NanoTWICE has 5 and 40; get the original archive again"
        )
    return by_split


def prepare(data_dir: str, archive: str | None = None) -> None:
    """Downloads (or takes `archive`) and writes `data_dir/nanotwice/1.0.0`; no-op if it is there.

    Raises:
      UserError: the download failed, or the archive is missing or not NanoTWICE's.
    """
    if archive and not zipfile.is_zipfile(archive):
        raise UserError(f"no zip archive at {archive}; give --archive the path of the original")
    try:
        Nanotwice(data_dir=data_dir, archive=archive).download_and_prepare()
    except UserError:
        raise
    except Exception as error:  # the network, TFDS and the disk fail in many ways
        reason = " ".join(str(error).split())[:200]
        where = archive or ARCHIVE_URL
        raise UserError(
            f"could not prepare NanoTWICE from {where} in {data_dir} ({type(error).__name__}: "
            f"{reason}); fetch the archive by other means and give it with --archive"
        ) from error


def read(data_dir: str, split: str) -> list[Example]:
    """Reads a prepared split, `normal` or `anomalous`, sorted by name.

    Raises:
      UserError: what lies in `data_dir` cannot be read.
    """
    try:
        records = list(Nanotwice(data_dir=data_dir).as_data_source(split))
    except Exception as error:  # damaged files fail in many ways
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"cannot read the prepared NanoTWICE in {data_dir} ({reason}); delete "
            f"{Path(data_dir, 'nanotwice')} and prepare it again"
        ) from error
    examples = [
        Example(record["image"], record["mask"][..., 0] > 0, record["id"].decode())
        for record in records
    ]
    return sorted(examples, key=lambda example: example.name)


def _record(image: np.ndarray, mask: np.ndarray, name: str, label: str) -> dict[str, Any]:
    mask_image = mask.astype(np.uint8) * np.uint8(255)
    return {"image": _png(image[..., 0]), "mask": _png(mask_image), "id": name, "label": label}


def _png(array: np.ndarray) -> io.BytesIO:
    # TFDS stores a file object's bytes as they are, but encodes an array with TensorFlow.
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    file.seek(0)
    return file


def main() -> None:
    """The command line: `--data_dir`, and optionally `--archive`."""
    parser = argparse.ArgumentParser(description="Prepares NanoTWICE as a TFDS data set.")
    parser.add_argument("--data_dir", required=True, help="where TFDS data sets lie")
    parser.add_argument("--archive", help="the original archive, if it was fetched already")
    arguments = parser.parse_args()
    try:
        prepare(arguments.data_dir, arguments.archive)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(UserError.exit_code)


if __name__ == "__main__":
    main()
