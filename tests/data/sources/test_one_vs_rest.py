"""TFDS sets one-vs-rest: a tiny prepared set made here, and MNIST where the shared data lie."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from semad.config.schema import DataSettings
from semad.data import sources
from tests.complaints import one_line

ROOT = Path(__file__).parents[3]
SHARED = Path(os.environ.get("SEMAD_DATA", ROOT.parent / "shared" / "data"))
LABELS = {"train": [0, 1, 2, 1, 1, 0], "test": [2, 0, 1, 1]}


class TinyShapes(tfds.core.GeneratorBasedBuilder):
    """Images 4x5 of one grey value: 10 times the label, plus the number of the image."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(4, 5, 1)),
            "label": tfds.features.ClassLabel(num_classes=3),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in LABELS}

    def _generate_examples(self, split):
        for i, label in enumerate(LABELS[split]):
            file = io.BytesIO()
            Image.fromarray(np.full((4, 5), 10 * label + i, np.uint8)).save(file, "PNG")
            file.seek(0)
            yield i, {"image": file, "label": label}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    TinyShapes(data_dir=folder, file_format="array_record").download_and_prepare()
    return folder


def settings(folder, **changes):
    base = {"name": "tfds:tiny_shapes", "protocol": "one_class_normal", "normal_class": 1}
    return DataSettings(
        {**base, "anomalous_class": 1, "channels": 1, "dir": str(folder), **changes}
    )


def test_one_class_normal(prepared):
    source = sources.load(settings(prepared))
    assert source.name == "tfds:tiny_shapes/normal=1"
    # Ones are the images 1, 3 and 4 of the train split: grey 11, 13 and 14 in any stored order.
    assert sorted(int(image[0, 0, 0]) for image in source.train) == [11, 13, 14]
    greys = [int(image[0, 0, 0]) for image in source.test]
    by_grey = dict(zip(greys, source.labels.tolist(), strict=True))
    assert by_grey == {20: True, 1: True, 12: False, 13: False}
    assert source.test[0].shape == (4, 5, 1)
    assert source.masks == [None] * 4
    assert (source.micrographs, source.oriented) == (False, True)


def test_one_class_anomalous_and_channels(prepared):
    source = sources.load(settings(prepared, protocol="one_class_anomalous", channels=3))
    assert source.name == "tfds:tiny_shapes/anomalous=1"
    assert sorted(int(image[0, 0, 2]) for image in source.train) == [0, 5, 22]
    assert source.labels.sum() == 2
    assert source.test[0].shape == (4, 5, 3)
    assert source.test[0].dtype == np.uint8


def test_errors(prepared, tmp_path):
    one_line(lambda: sources.load(settings(prepared, normal_class=3)), "normal_class=3", "0 to 2")
    one_line(lambda: sources.load(settings(tmp_path)), "tiny_shapes", tmp_path, "prepare")
    one_line(
        lambda: sources.load(settings(tmp_path, name="tfds:mnist")), tmp_path, "extra `prepare`"
    )
    one_line(lambda: sources.load(settings(tmp_path, name="tfds:no_such")), "no_such", tmp_path)


def test_damaged_files(prepared, tmp_path):
    folder = tmp_path / "tiny_shapes" / "1.0.0"
    folder.mkdir(parents=True)
    for path in (prepared / "tiny_shapes" / "1.0.0").iterdir():
        data_bytes = path.read_bytes()
        (folder / path.name).write_bytes(data_bytes[:20] if "test" in path.name else data_bytes)
    one_line(lambda: sources.load(settings(tmp_path)), tmp_path, "cannot read split test")


@pytest.mark.skipif(not (SHARED / "tfds" / "mnist").is_dir(), reason="needs the shared MNIST")
def test_mnist():
    source = sources.load(settings(SHARED / "tfds", name="tfds:mnist", normal_class=3))
    assert (len(source.train), len(source.test)) == (6131, 10000)
    assert (~source.labels).sum() == 1010
    assert source.train[0].shape == (28, 28, 1)
