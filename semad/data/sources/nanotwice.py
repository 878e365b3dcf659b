"""NanoTWICE: SEM images of nanofibrous materials, 5 normal and 40 with defects and their masks.

Carrera, Manganini, Boracchi, Lanzarone, "Defect Detection in SEM Images of Nanofibrous
Materials", IEEE Transactions on Industrial Informatics, 2017.
"""

from importlib import resources
from pathlib import Path

import numpy as np

from semad.config.schema import DataSettings
from semad.data import collect, images
from semad.data.collect import Entry
from semad.data.labels import implausible
from semad.data.source import Source
from semad.errors import UserError
from semad.utils.sealed import file_checksum

COUNTS = (5, 40)
HOW_TO_GET = (
    "get dfg05er_Data.zip (under ettore/NanoTWICE at web.mi.imati.cnr.it) and run "
    "python -m semad.data.sources.nanotwice_builder --data_dir <dir> --archive dfg05er_Data.zip"
)
ACCEPT = "--config.data.verify=False accepts it"


def load(data: DataSettings) -> Source:
    """Loads NanoTWICE from the folder `config.dir`.

    The folder holds the files themselves (`Normal/*`, `Anomalous/images/*` and
    `Anomalous/gt/<name>_gt.png`, checked against the known checksums if `config.verify`), or
    TFDS's prepared copy of them, of which only the number of images can be checked.

    Raises:
      UserError: the data are not there, a file is missing, damaged or not the original one, or
        a mask does not fit its image.
    """
    if not data.dir:
        raise UserError(f"config.data.dir is not set for nanotwice; {HOW_TO_GET}")
    root = Path(data.dir)
    try:
        has_files = (root / "Normal").is_dir()
        has_prepared = any(root.glob("nanotwice/*/dataset_info.json"))
    except OSError as error:
        raise UserError(f"cannot read folder {root}: {error.strerror}; check access") from error
    if has_files:
        return _load_folder(root, data)
    if has_prepared:
        return _load_prepared(root, data)
    raise UserError(f"no NanoTWICE in {root}; {HOW_TO_GET}")


def verify(root: Path) -> None:
    """Checks that a folder holds the original files of NanoTWICE and no other images.

    Raises:
      UserError: naming the first file that is missing, differs or does not belong.
    """
    known = _known_checksums()
    for name, checksum in known.items():
        path = root / name
        if not path.is_file():
            raise UserError(f"missing file of NanoTWICE: {path}; {HOW_TO_GET}; or {ACCEPT}")
        if _checksum(path) != checksum:
            raise UserError(f"not the original file of NanoTWICE: {path}; restore it, or {ACCEPT}")
    for folder in ("Normal", "Anomalous/images", "Anomalous/gt"):
        for path in images.list_images(root / folder):
            if path.relative_to(root).as_posix() not in known:
                raise UserError(f"not a file of NanoTWICE: {path}; remove it, or {ACCEPT}")


def _known_checksums() -> dict[str, str]:
    text = (resources.files("semad.data.sources") / "nanotwice.sha256").read_text()
    return {name: checksum for checksum, name in map(str.split, text.splitlines())}


def _checksum(path: Path) -> str:
    try:
        return file_checksum(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; check access") from error


def _load_folder(root: Path, data: DataSettings) -> Source:
    if data.verify:
        verify(root)
    train_paths = images.list_images(root / "Normal")
    test_paths = images.list_images(root / "Anomalous" / "images")
    mask_paths = {path: _mask_path(path, root) for path in test_paths}
    for path in images.list_images(root / "Anomalous" / "gt"):
        if path not in mask_paths.values():
            raise UserError(f"mask without an image: {path}; remove it or restore its image")
    reading = images.reading_of(data)
    train = collect.read_training(collect.entries_of(train_paths, "Normal", reading), reading)
    entries = collect.entries_of(test_paths, "Anomalous", reading)
    test = collect.read_test(entries, reading, train.bit_depth)
    masks = [
        images.read_mask(mask_paths[entry.path], image.shape[:2], rows)
        for entry, image, rows in zip(entries, test.images, test.rows, strict=True)
    ]
    ids = [_id(entry) for entry in train.entries], [_id(entry) for entry in entries]
    loaded = images.same_depth([*train.images, *test.images])
    count = len(train.images)
    doubtful = implausible(masks, [True] * len(masks), ids[1])
    return _source(data, loaded[:count], loaded[count:], masks, ids)._replace(
        bit_depth=train.bit_depth,
        cautions=collect.gather(train.cautions + test.cautions + doubtful),
    )


def _id(entry: Entry) -> str:
    return entry.path.stem + (f"#{entry.page}" if entry.page else "")


def _mask_path(image: Path, root: Path) -> Path:
    path = root / "Anomalous" / "gt" / f"{image.stem}_gt.png"
    if not path.is_file():
        raise UserError(f"image {image} has no mask; put one at {path}")
    return path


def _load_prepared(root: Path, data: DataSettings) -> Source:
    # Imported only here: it imports TFDS, which takes a while.
    from semad.data.sources import nanotwice_builder

    normal = nanotwice_builder.read(str(root), "normal")
    anomalous = nanotwice_builder.read(str(root), "anomalous")
    if data.verify and (len(normal), len(anomalous)) != COUNTS:
        raise UserError(
            f"the prepared NanoTWICE in {root} has {len(normal)} normal and {len(anomalous)} "
            f"anomalous images, not 5 and 40; prepare it again, or {ACCEPT}"
        )
    return _source(
        data,
        train=[images.to_channels(example.image, data.channels) for example in normal],
        test=[images.to_channels(example.image, data.channels) for example in anomalous],
        masks=[example.mask for example in anomalous],
        ids=([e.name for e in normal], [e.name for e in anomalous]),
    )


def _source(
    data: DataSettings,
    train: list[np.ndarray],
    test: list[np.ndarray],
    masks: list[np.ndarray],
    ids: tuple[list[str], list[str]],
) -> Source:
    return Source(
        name="nanotwice" if data.verify else "nanotwice/unverified",
        train=train,
        test=test,
        masks=masks,
        labels=np.array([mask.any() for mask in masks], bool),
        train_ids=ids[0],
        test_ids=ids[1],
        micrographs=True,
        oriented=False,
    )
