"""One class against the rest: the rule in both polarities, and any labelled set of TFDS by it."""

import io
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from semad.config.schema import DataSettings
from semad.data.images import to_channels
from semad.data.source import Source
from semad.errors import UserError

PROTOCOLS = ("one_class_normal", "one_class_anomalous")


class Rule(NamedTuple):
    """Which classes are normal, a bool array `(classes,)`, and the rule's id (`normal=3`)."""

    normal: np.ndarray
    id: str


class Records(NamedTuple):
    """A split as stored: the images' encoded bytes and their labels, an int array."""

    encoded: Sequence[bytes]
    labels: np.ndarray


def rule(data: DataSettings, classes: int) -> Rule:
    """Returns the rule that `config.protocol` and its class make for a set of `classes` classes.

    Raises:
      UserError: the protocol is unknown, or the class is not one of 0 to `classes` - 1.
    """
    if data.protocol not in PROTOCOLS:
        raise UserError(
            f"unknown config.data.protocol={data.protocol!r} for {data.name}; "
            f"valid: {', '.join(PROTOCOLS)}"
        )
    role = data.protocol.removeprefix("one_class_")
    chosen = getattr(data, f"{role}_class")
    if chosen not in range(classes):
        raise UserError(
            f"unknown class config.data.{role}_class={chosen} for {data.name}; "
            f"give one of 0 to {classes - 1}"
        )
    is_chosen = np.arange(classes) == chosen
    return Rule(is_chosen if role == "normal" else ~is_chosen, f"{role}={chosen}")


def make_source(
    name: str,
    train: Sequence[np.ndarray],
    test: Sequence[np.ndarray],
    anomalous: np.ndarray,
    ids: tuple[Sequence[str], Sequence[str]],
) -> Source:
    """Returns a source of items that are one patch each, with labels and without masks.

    Args:
      name: the source's name, the rule's id included.
      train, test: images `(height, width, channels)` of uint8.
      anomalous: bool array `(len(test),)`.
      ids: the names of the training and of the test images.
    """
    train_ids, test_ids = ids
    return Source(
        name=name,
        train=train,
        test=test,
        masks=[None] * len(test),
        labels=anomalous,
        train_ids=train_ids,
        test_ids=test_ids,
        micrographs=False,
        oriented=True,
    )


def load(data: DataSettings) -> Source:
    """Loads `tfds:<name>`, prepared for TFDS in `config.dir`, by its official splits.

    The normal images of the train split train; the whole test split is the test. TensorFlow is
    not needed.

    Raises:
      UserError: no such data set, not prepared, not one of labelled uint8 images, or an unknown
        protocol or class.
    """
    name = data.name.removeprefix("tfds:")
    builder = _builder(name, data.dir)
    chosen = rule(data, builder.info.features["label"].num_classes)
    train, test = (_read(builder, split) for split in ("train", "test"))
    kept = np.flatnonzero(chosen.normal[train.labels]).tolist()
    return make_source(
        name=f"{data.name}/{chosen.id}",
        train=[_decode(train.encoded[i], data.channels) for i in kept],
        test=[_decode(encoded, data.channels) for encoded in test.encoded],
        anomalous=~chosen.normal[test.labels],
        ids=([f"train/{i}" for i in kept], [f"test/{i}" for i in range(len(test.labels))]),
    )


def _builder(name: str, data_dir: str | None) -> Any:
    tfds = _tfds()
    try:
        builder = tfds.builder(name, data_dir=data_dir)
        prepared = builder.data_path.exists()
    except Exception as error:  # TFDS has a long page to say for each kind of failure
        raise UserError(
            f"TFDS finds no data set {name!r} in {data_dir}; check its name and the folder"
        ) from error
    if not prepared:
        raise UserError(f"tfds:{name} is not prepared in {builder.data_path}; {_how(name)}")
    features, splits = builder.info.features, builder.info.splits
    labelled = "label" in features and isinstance(features["label"], tfds.features.ClassLabel)
    if not labelled or "image" not in features or features["image"].np_dtype != np.uint8:
        raise UserError(f"tfds:{name} is not a set of labelled uint8 images; choose another")
    if not {"train", "test"} <= set(splits):
        raise UserError(f"tfds:{name} in {builder.data_path} has no train and test; choose another")
    return builder


def _how(name: str) -> str:
    return (
        "install the extra `prepare` and run tfds.builder("
        f"{name!r}, data_dir=..., file_format='array_record').download_and_prepare()"
    )


def _read(builder: Any, split: str) -> Records:
    # Images stay encoded: only the chosen classes' are needed, and decoding takes longest.
    decoders = {"image": _tfds().decode.SkipDecoding()}
    try:
        source = builder.as_data_source(split, decoders=decoders)
        records = source.__getitems__(range(len(source)))
    except Exception as error:  # another file format, or damaged files
        raise UserError(
            f"cannot read split {split} in {builder.data_path} without TensorFlow; delete it, "
            f"{_how(builder.name)}"
        ) from error
    labels = np.array([record["label"] for record in records], int)
    if labels.min(initial=0) < 0:
        raise UserError(f"split {split} in {builder.data_path} has no labels; choose another set")
    return Records([record["image"] for record in records], labels)


def _decode(encoded: bytes, channels: int) -> np.ndarray:
    with Image.open(io.BytesIO(encoded)) as image:
        plain = image if image.mode in ("L", "RGB") else image.convert("RGB")
        return to_channels(np.asarray(plain), channels)


def _tfds() -> ModuleType:
    # Imported only where it is used: it takes a while.
    import tensorflow_datasets

    return tensorflow_datasets
