"""A tiny detector, and a folder of images for it to inspect."""

import numpy as np
import pytest
import tifffile
from PIL import Image

import semad
from semad.config.settings import resolve
from semad.data import sources
from semad.scoring.thresholds import Thresholds
from tests import tiny

SETTINGS = {
    "data__name": "nanofibres",
    "data__image_size": 72,
    "data__crops_per_image": 16,
    "score__nm_per_pixel": 20.0,
    "score__stride": 8,
}


@pytest.fixture(scope="session")
def fibres():
    return sources.load(resolve(tiny.config("autoencoder", **SETTINGS)).data)


@pytest.fixture(scope="session")
def inspector(fibres):
    """An untrained detector; its limits are so low that it finds something in most images."""
    fitted = semad.Detector(tiny.config("autoencoder", **SETTINGS)).fit(fibres.train)
    scores = fitted.score_samples(fibres.test)
    limit = float(np.sort(scores)[1:3].mean())  # far from all of them, whatever rounding does
    limits = Thresholds(limit, float(scores.min() * 0.8), limit)
    fitted.__dict__["_calibrated"] = fitted._calibrated._replace(thresholds=limits)
    return fitted


@pytest.fixture
def folder(tmp_path, fibres):
    """Good images of several kinds, bad ones, and what is no image."""
    root = tmp_path / "in put ä"
    (root / "sub").mkdir(parents=True)
    first, second, third, fourth = (image[..., 0] for image in fibres.test)
    Image.fromarray(first).save(root / "sub" / "größe 1.png")
    tifffile.imwrite(root / "deep.tif", second.astype(np.uint16) * 257)
    Image.fromarray(np.repeat(third[..., None], 3, 2)).save(root / "same.bmp")
    Image.fromarray(fourth).convert("P").save(root / "same.png")
    (root / "empty.tif").touch()
    (root / "text.tif").write_text("no image")
    whole = (root / "sub" / "größe 1.png").read_bytes()
    (root / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(first[:, :1]).save(root / "thin.png")
    (root / "notes.md").write_text("no image, and none by its name")
    (root / ".hidden.png").write_bytes(whole)
    return root
