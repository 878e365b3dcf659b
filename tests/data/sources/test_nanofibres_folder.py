"""Nanofibres as files: what comes back is what was drawn."""

import numpy as np
import pytest

from semad.config.schema import DataSettings
from semad.data import sources
from semad.data.sources import nanofibres
from semad.data.sources.nanofibres_folder import write
from semad.errors import UserError


def test_the_folder_reads_as_the_embedded_set(tmp_path):
    folder = tmp_path / "fibres"
    write(folder, train=2, test=4, size=72)
    read = sources.load(DataSettings({"name": "folder", "dir": str(folder), "channels": 1}))
    settings = {"train_images": 2, "test_images": 4, "image_size": 72, "seed": 0, "channels": 1}
    drawn = nanofibres.load(DataSettings(settings))
    np.testing.assert_array_equal(np.stack(read.train), np.stack(drawn.train))
    order = np.argsort(~drawn.labels, kind="stable")  # the folder defect comes before good
    for i, j in enumerate(order):
        np.testing.assert_array_equal(read.test[i], drawn.test[j])
        np.testing.assert_array_equal(read.masks[i], drawn.masks[j])
        assert read.test_ids[i].endswith(f"/{drawn.test_ids[j]}.png")
    np.testing.assert_array_equal(read.labels, drawn.labels[order])


def test_nothing_is_overwritten(tmp_path):
    folder = tmp_path / "fibres"
    folder.mkdir()
    (folder / "mine.txt").touch()
    with pytest.raises(UserError, match="something else"):
        write(folder, train=1, test=1, size=72)
    with pytest.raises(UserError, match="image_size"):
        write(tmp_path / "small", train=1, test=1, size=8)
    assert not (tmp_path / "small").exists()
